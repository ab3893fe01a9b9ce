"""Tables that are made of other tables: who chooses what, where that was read, and which mistakes are known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from html import escape

from ..case import ARRAYS
from ..cases.coverage import requirements
from ..cases.coverage import table as requirements_text
from ..dialects import STAGES, Dialect, Parameter, deviations, dialects
from ._markdown import html

MANY = 7
"""Dialects that are named one by one; an alternative that more of them pick is that of all others."""

OF_ROWS = ("merge", "touch")
"""Stages that say nothing where every gradient is dense: each row is stored, once."""


def choices(*stages: str) -> str:
    """For each stage a table of its alternatives: which dialects pick them, with which options, and what a diagnosis calls them."""
    return "".join(map(_choices, stages))


def _choices(stage: str) -> str:
    by_default: dict[Enum, list[str]] = {pick: [] for pick in STAGES[stage]}
    by_option: dict[Enum, list[str]] = {pick: [] for pick in STAGES[stage]}
    for dialect in dialects("full").values():
        if stage in OF_ROWS and set(dialect.gradients) <= {"dense"}:
            continue
        usual, options = _picks(dialect, stage)
        by_default[usual].append(_code(dialect.name))
        for pick, option in options:
            by_option[pick].append(f"{_code(dialect.name)} {option}")
    rows = []
    for pick in STAGES[stage]:
        names = by_default[pick]
        if len(names) > MANY:
            names = [
                "all others"
                if any(by_default[other] or by_option[other] for other in STAGES[stage] if other is not pick)
                else "every dialect"
            ]
        reported = [_code(id) for id, deviation in deviations().items() if deviation.picks.get(stage) is pick]
        rows.append((escape(pick.value), _listed([*names, *by_option[pick]]), _listed(reported)))
    return _table(("Choice", "Who", "Deviation"), rows, caption=stage.replace("_", " "))


def _picks(dialect: Dialect, stage: str) -> tuple[Enum, list[tuple[Enum, str]]]:
    """What a dialect picks with its defaults, and what it picks with an option turned, with words for the option."""
    usual: Enum = getattr(dialect.picks, stage)
    options: list[tuple[Enum, str]] = []
    for parameter in dialect.parameters.values():
        turned = parameter.when_true.get(stage)
        if turned is None or turned is usual:
            continue
        if parameter.default:
            usual, turned = turned, usual
        options.append((turned, f"{'without' if parameter.default else 'with'} {_code(parameter.name)}"))
    return usual, options


def parameters(*names: str) -> str:
    """The parameters of two or more dialects, by what they stand for, with their defaults and accepted ranges."""
    columns = [
        {role: _parameter(parameter, role) for parameter in dialects("full")[name].parameters.values() for role in _roles(parameter)}
        for name in names
    ]
    roles = dict.fromkeys(role for column in columns for role in column)
    return _table(("", *names), [(_code(role), *(column.get(role, "none") for column in columns)) for role in roles])


def _roles(parameter: Parameter) -> Sequence[str]:
    return parameter.roles or (parameter.name,)


def _parameter(parameter: Parameter, role: str) -> str:
    default = parameter.default[parameter.roles.index(role)] if len(parameter.roles) > 1 else parameter.default
    accepted = f", accepted: {parameter.interval.text}" if parameter.interval else ""
    return _code(parameter.name) + escape(f" = {default}{accepted}")


def sources() -> str:
    """Every dialect: what it is, and where that was read and measured."""
    rows = [(_code(dialect.name), escape(dialect.about), _lines(dialect.sources)) for dialect in dialects("full").values()]
    return _table(("Dialect", "What it is", "Where that was read or measured"), rows)


def known_deviations() -> str:
    """Every deviation that a diagnosis can name. B: a bug; D: what another dialect means."""
    rows = [(_code(id), escape(known.about), known.kind, _lines(known.sources)) for id, known in deviations().items()]
    return _table(("Deviation", "What is computed instead", "Kind", "Seen in"), rows)


def features() -> str:
    """The features that the vectors must exercise, the dialects without them, and what they never meet, with the reason."""
    required = {name: requirements(name) for name in dialects()}
    rows = []
    for feature, meaning in requirements_text()["features"].items():
        without = [_code(name) for name, requirement in required.items() if feature in requirement.lacks]
        apart: dict[str, dict[str, None]] = {}
        for requirement in required.values():
            for pair, reason in requirement.excused.items():
                if feature in pair:
                    apart.setdefault(reason, {})[next(iter(pair - {feature}), feature)] = None
        words = "; ".join(escape(f"{', '.join(others)}: {reason}") for reason, others in apart.items())
        rows.append((_code(feature), escape(meaning), _listed(without), words or "none"))
    return _table(("Feature", "Meaning", "Not in", "Never with"), rows, caption="features: every two of them meet in a case")


def sizes() -> str:
    """The sizes that the vectors must have."""
    rows = []
    for measure, row in requirements_text()["sizes"].items():
        numbers = [*(f"{size:,}" for size in row.get("all", ())), *(f"at least {size:,}" for size in row.get("from", ()))]
        rows.append((escape(measure), ", ".join(numbers)))
    return _table(("Of what", "Sizes"), rows, caption="sizes")


def tolerances() -> str:
    """The rules of other tools: what each lets pass of the mistakes that a few vectors show, and what it refuses of what is correct."""
    from .suites import audits  # here, since it tries every rule: some seconds

    rows = []
    for name, audit in audits().items():
        compared = "all arrays" if audit.rule.arrays == ARRAYS else _listed([_code(array) for array in audit.rule.arrays])
        refused = f"{len(audit.refused)} of {audit.cases}, perhaps {len(audit.too_tight)}" if audit.too_tight else "none"
        rows.append(
            (
                f"{_code(name)}<br>{escape(audit.rule.about)}",
                f"{_code(audit.rule.words('float32'))}<br>{compared}",
                f"{len(audit.everywhere)} of {len(audit.mistakes)}",
                str(len(audit.somewhere)),
                refused,
                escape(audit.rule.source),
            )
        )
    head = (
        "Rule",
        "What is compared",
        "Mistakes that pass wherever they show",
        "that pass in some case",
        "Cases with a correct result refused",
        "Read in",
    )
    return _table(head, rows, caption="rules of tools and suites, in float32")


TABLES: dict[str, Callable[..., str]] = {
    "choices": choices,
    "parameters": parameters,
    "sources": sources,
    "deviations": known_deviations,
    "features": features,
    "sizes": sizes,
    "tolerances": tolerances,
}


def _code(name: str) -> str:
    return html("code", escape(name))


def _listed(cells: Sequence[str]) -> str:
    return ", ".join(cells) or "none"


def _lines(lines: Iterable[str]) -> str:
    return "<br>".join(map(escape, lines))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> str:
    """A table whose cells know their heading, so that a narrow page can set them below each other."""
    top = html("tr", "".join(html("th", escape(title), scope="col") for title in head))
    body = "".join(
        html("tr", html("td", first) + "".join(html("td", html("div", cell), data_label=title) for title, cell in zip(head[1:], others)))
        for first, *others in rows
    )
    named = html("caption", escape(caption)) if caption else ""
    return html("table", named + html("thead", top) + html("tbody", body), class_="stacked")
