"use strict";
// Sections of the guide that hold all words of the field; INDEX comes before this script: [page, chapter, anchor, section, text].
const field = document.getElementById("words"), list = document.getElementById("results"), count = document.getElementById("count");
const SHOWN = 40, BEFORE = 60, LENGTH = 200;
function excerpt(text, word) {
  const at = Math.max(0, text.toLowerCase().indexOf(word) - BEFORE);
  return (at ? "… " : "") + text.slice(at, at + LENGTH) + (at + LENGTH < text.length ? " …" : "");
}
function search() {
  const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  list.replaceChildren();
  if (!words.length) { count.textContent = ""; return; }
  const rank = ([, chapter, , section]) => words.every((word) => section.toLowerCase().includes(word)) ? 0 : words.every((word) => (chapter + " " + section).toLowerCase().includes(word)) ? 1 : 2;
  const found = INDEX.filter((entry) => { const all = entry.join(" ").toLowerCase(); return words.every((word) => all.includes(word)); });
  found.sort((one, other) => rank(one) - rank(other));
  count.textContent = found.length === 1 ? "1 section" : found.length + " sections" + (found.length > SHOWN ? ", the first " + SHOWN + " are listed" : "");
  for (const [page, chapter, anchor, section, text] of found.slice(0, SHOWN)) {
    const link = document.createElement("a"), item = document.createElement("li"), words_ = document.createElement("p");
    link.href = page + (anchor ? "#" + anchor : "");
    link.textContent = section === chapter ? chapter : chapter + ": " + section;
    words_.textContent = excerpt(text, words.find((word) => text.toLowerCase().includes(word)) || words[0]);
    item.append(link, words_);
    list.append(item);
  }
}
field.addEventListener("input", search);
field.value = decodeURIComponent(location.hash.slice(1));
search();
field.focus();
