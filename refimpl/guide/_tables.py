"""Tables that are made of other tables: who chooses what, where that was read, and which mistakes are known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from html import escape

from ..cases.coverage import requirements
from ..cases.coverage import table as requirements_text
from ..dialects import STAGES, Dialect, deviations, dialects
from ._markdown import html


def choices(*stages: str) -> str:
    """For each stage a table of its alternatives: which dialects pick them, with which options, and what a diagnosis calls them."""
    return "".join(_choices(stage) for stage in stages)


MANY = 7
"""Dialects that are named one by one; an alternative that more of them pick is that of all others."""


def _choices(stage: str) -> str:
    who: dict[Enum, list[str]] = {pick: [] for pick in STAGES[stage]}
    always: dict[Enum, int] = dict.fromkeys(STAGES[stage], 0)
    for one in dialects("full").values():
        if stage in OF_ROWS and not set(one.gradients) - {"dense"}:
            continue
        usual, options = _picks(one, stage)
        who[usual].append(html("code", escape(one.name)))
        always[usual] += 1
        for pick, option in options:
            who[pick].append(html("code", escape(one.name)) + " " + option)
    rows = []
    for pick, names in who.items():
        reported = [id for id, one in deviations().items() if one.picks.get(stage) is pick]
        if always[pick] > MANY:
            names = ["all others", *names[always[pick] :]] if any(who[other] for other in who if other is not pick) else ["every dialect"]
        rows.append((_text(pick.value), ", ".join(names) or "none", ", ".join(html("code", escape(id)) for id in reported) or "none"))
    return _table(("Choice", "Who", "Deviation"), rows, caption=stage.replace("_", " "))


OF_ROWS = ("merge", "touch")
"""Stages that say nothing where every gradient is dense: each row is stored, once."""


def _picks(one: Dialect, stage: str) -> tuple[Enum, list[tuple[Enum, str]]]:
    """What a dialect picks with its defaults, and what it picks with an option turned, with words for the option."""
    usual: Enum = getattr(one.picks, stage)
    options: list[tuple[Enum, str]] = []
    for parameter in one.parameters.values():
        turned = parameter.when_true.get(stage)
        if turned is None or turned is usual:
            continue
        name = html("code", escape(parameter.name))
        options.append((usual, f"without {name}") if parameter.default else (turned, f"with {name}"))
        usual = turned if parameter.default else usual
    return usual, options


def parameters(*names: str) -> str:
    """The parameters of two or more dialects, by what they stand for, with their defaults and accepted ranges."""
    found = [dialects("full")[name] for name in names]
    roles = dict.fromkeys(role for one in found for parameter in one.parameters.values() for role in parameter.roles or (parameter.name,))
    rows = [(html("code", escape(role)), *(_parameter(one, role) for one in found)) for role in roles]
    return _table(("", *names), rows)


def sources() -> str:
    """Every dialect: what it is, and where that was read and measured."""
    rows = [(html("code", escape(one.name)), _text(one.about), _lines(one.sources)) for one in dialects("full").values()]
    return _table(("Dialect", "What it is", "Where that was read or measured"), rows)


def known_deviations() -> str:
    """Every deviation that a diagnosis can name. B: a bug; D: what another dialect means."""
    rows = [(html("code", escape(id)), _text(one.about), one.kind, _lines(one.sources)) for id, one in deviations().items()]
    return _table(("Deviation", "What is computed instead", "Kind", "Seen in"), rows)


def features() -> str:
    """The features that the vectors must exercise, the dialects without them, and what they never meet, with the reason."""
    required = {name: requirements(name) for name in dialects()}
    rows = []
    for feature, meaning in requirements_text()["features"].items():
        without = [html("code", escape(name)) for name, asked in required.items() if feature in asked.lacks]
        apart: dict[str, list[str]] = {}
        for asked in required.values():
            for pair, reason in asked.excused.items():
                if feature in pair and (other := next(iter(pair - {feature}), feature)) not in apart.get(reason, ()):
                    apart.setdefault(reason, []).append(other)
        words = "; ".join(f"{', '.join(map(escape, others))}: {escape(reason)}" for reason, others in apart.items())
        rows.append((html("code", escape(feature)), _text(meaning), ", ".join(without) or "none", words or "none"))
    return _table(("Feature", "Meaning", "Not in", "Never with"), rows, caption="features: every two of them meet in a case")


def sizes() -> str:
    """The sizes that the vectors must have."""
    rows = []
    for measure, row in requirements_text()["sizes"].items():
        numbers = [*(f"{size:,}" for size in row.get("all", ())), *(f"at least {size:,}" for size in row.get("from", ()))]
        rows.append((_text(measure), ", ".join(numbers)))
    return _table(("Of what", "Sizes"), rows, caption="sizes")


TABLES: dict[str, Callable[..., str]] = {
    "choices": choices,
    "parameters": parameters,
    "sources": sources,
    "deviations": known_deviations,
    "features": features,
    "sizes": sizes,
}


def _parameter(one: Dialect, role: str) -> str:
    for parameter in one.parameters.values():
        if role in (parameter.roles or (parameter.name,)):
            default = parameter.default[parameter.roles.index(role)] if len(parameter.roles) > 1 else parameter.default
            accepted = f", accepted: {parameter.interval.text}" if parameter.interval else ""
            return html("code", escape(parameter.name)) + escape(f" = {default}{accepted}")
    return "none"


def _lines(lines: Iterable[str]) -> str:
    return "<br>".join(map(escape, lines))


def _text(text: str) -> str:
    return escape(text)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> str:
    """A table whose cells know their heading, so that a narrow page can set them below each other."""
    top = html("tr", "".join(html("th", escape(title), scope="col") for title in head))
    body = "".join(
        html("tr", html("td", first) + "".join(html("td", html("div", cell), data_label=title) for title, cell in zip(head[1:], others)))
        for first, *others in rows
    )
    named = html("caption", escape(caption)) if caption else ""
    return html("table", named + html("thead", top) + html("tbody", body), class_="stacked")
