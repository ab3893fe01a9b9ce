// Search and filters over the list of cases, links that open what they lead to, and buttons that copy a command.
"use strict";
const byId = (id) => document.getElementById(id);
const search = byId("search"), selects = [...byId("filters").querySelectorAll("select")];

const cases = [...byId("list").children].map((item) => ({
  item,
  text: [...item.querySelectorAll("[data-find]")].map((part) => part.textContent).join("\n").toLowerCase(),
}));

function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const asked = selects.filter((select) => select.value).map((select) => [select.name, select.value]);
  let shown = 0;
  for (const { item, text } of cases) {
    const wanted = words.every((word) => text.includes(word)) && asked.every(([name, value]) => item.dataset[name] === value);
    if (item.hidden === wanted) item.hidden = !wanted;
    shown += wanted;
  }
  byId("shown").textContent = shown === cases.length ? `all ${shown} cases` : `${shown} of ${cases.length} cases`;
}

function set(wanted) {
  search.value = "";
  for (const select of selects) select.value = wanted.get(select.name) ?? "";
  filter();
}

function open() {
  const target = byId(decodeURIComponent(location.hash.slice(1)));
  if (!target || !byId("list").contains(target)) return;
  if (target.parentElement.hidden) set(new URLSearchParams());
  target.open = true;
  target.scrollIntoView();
  target.querySelector("summary").focus({ preventScroll: true });
}

search.addEventListener("input", filter);
for (const select of selects) select.addEventListener("change", filter);
byId("clear").addEventListener("click", () => { set(new URLSearchParams()); search.focus(); });
document.addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (!link) return;
  if (link.dataset.filter) set(new URLSearchParams(link.dataset.filter));
  else if (link.hash && link.hash === location.hash) open(); // the address does not change, so nothing else would open it
});
window.addEventListener("hashchange", open);

for (const button of document.querySelectorAll(".copy")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const command = button.parentElement.querySelector("code");
    try {
      await navigator.clipboard.writeText(command.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(command); // a browser that does not let a page copy: the reader presses Ctrl+C
      button.textContent = "Selected";
    }
  });
}

// On paper there is nothing to click: what fails is printed open.
let opened = [];
window.addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("#list li:is([data-status=failed], [data-status=error]) > details:not([open])")];
  for (const details of opened) details.open = true;
});
window.addEventListener("afterprint", () => { for (const details of opened) details.open = false; });

byId("filters").hidden = cases.length === 0;
filter();
open();
