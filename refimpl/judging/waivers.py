"""Waivers: failures that are known and tracked, each with a reason and a link. One that no longer applies is an error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from ..dialects import deviations
from ..errors import UsageError, VectorError
from ..vectors.text import SIZE_LIMIT, decode_text, read_bytes
from .verdict import CaseVerdict, Diagnosis, Status

KEYS = {"case": True, "reason": True, "link": True, "deviation": False}
"""The keys of an entry, and whether each is mandatory."""

FAILURES = (Status.FAILED, Status.ERROR)
JUDGED = (Status.PASSED, *FAILURES)


@dataclass(frozen=True)
class Waiver:
    """Failing cases that are known: which ones (a glob), why, where that is tracked, and by which deviation they must fail."""

    case: str
    reason: str
    link: str
    deviation: str = ""

    def __str__(self) -> str:
        return f"{self.reason} ({self.link})"


class _Loader(yaml.SafeLoader):
    """The loader of PyYAML, with an error for a repeated key: its first value would be lost silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} is repeated", node.start_mark)
        return super().construct_mapping(node, deep)


def read_waivers(file: Path) -> tuple[Waiver, ...]:
    """The entries of a waiver file; raises UsageError with the file, the entry (from 1) and the key that is wrong."""
    try:
        text = decode_text(read_bytes(file, SIZE_LIMIT), file)
        entries = yaml.load(text, Loader=_Loader)  # a SafeLoader that also refuses repeated keys
    except VectorError as error:
        raise UsageError(f"{file}: cannot be read: {error.reason}", "name a YAML file") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else f"not YAML: {error}"
        raise UsageError(f"{file}: {reason}", EXAMPLE) from None
    if not isinstance(entries, list):
        raise UsageError(f"{file}: must be a list of waivers, not {type(entries).__name__}", EXAMPLE)
    return tuple(_waiver(entry, f"{file}: entry {number}") for number, entry in enumerate(entries, start=1))


EXAMPLE = "an entry reads {case: 'torch.SparseAdam/eps/*', reason: why it fails, link: 'https://...'}"


def _waiver(entry: object, where: str) -> Waiver:
    if not isinstance(entry, dict):
        raise UsageError(f"{where}: must be a mapping, not {entry!r}", EXAMPLE)
    for key in entry:
        if key not in KEYS:
            raise UsageError(f"{where}: unknown key {key!r}", f"the keys are {', '.join(KEYS)}")
    for key, mandatory in KEYS.items():
        if mandatory and key not in entry:
            raise UsageError(f"{where}: {key} is missing", EXAMPLE)
        if key in entry and (not isinstance(entry[key], str) or not entry[key].strip()):
            raise UsageError(f"{where}: {key}: must be a text that is not empty, not {entry[key]!r}", EXAMPLE)
    waiver = Waiver(**entry)
    if not _is_web_address(waiver.link):
        raise UsageError(
            f"{where}: link: must be an http or https address, not {waiver.link!r}", "link to the issue that tracks the failure"
        )
    if waiver.deviation and waiver.deviation not in deviations():
        raise UsageError(f"{where}: deviation: no deviation {waiver.deviation!r}", f"the deviations are {', '.join(deviations())}")
    return waiver


def _is_web_address(link: str) -> bool:
    try:
        parts = urlsplit(link)
    except ValueError:  # a bracket that is not closed
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc)


def waive(
    verdicts: Sequence[CaseVerdict], waivers: Sequence[Waiver], diagnoses: Sequence[Diagnosis] = (), narrowed: bool = False
) -> tuple[tuple[CaseVerdict, ...], tuple[str, ...]]:
    """The verdicts with known failures marked as waived, and a sentence for each waiver that no longer applies.

    narrowed: only some cases were asked for, so that a waiver which matches none of those that ran says nothing.
    """
    causes = {(case, deviation) for diagnosis in diagnoses for case in diagnosis.cases for deviation in diagnosis.deviations}
    waived = tuple(_waived(verdict, waivers, causes) for verdict in verdicts)
    problems = (_problem(waiver, verdicts, causes, narrowed) for waiver in waivers)
    return waived, tuple(problem for problem in problems if problem)


def _applies(waiver: Waiver, verdict: CaseVerdict, causes: set[tuple[str, str]]) -> bool:
    known = not waiver.deviation or (verdict.case_id, waiver.deviation) in causes
    return verdict.status in FAILURES and fnmatchcase(verdict.case_id, waiver.case) and known


def _waived(verdict: CaseVerdict, waivers: Sequence[Waiver], causes: set[tuple[str, str]]) -> CaseVerdict:
    waiver = next((candidate for candidate in waivers if _applies(candidate, verdict, causes)), None)
    return replace(verdict, status=Status.WAIVED, waiver=str(waiver)) if waiver else verdict


def _problem(waiver: Waiver, verdicts: Sequence[CaseVerdict], causes: set[tuple[str, str]], narrowed: bool) -> str:
    matched = [verdict for verdict in verdicts if verdict.status in JUDGED and fnmatchcase(verdict.case_id, waiver.case)]
    if any(_applies(waiver, verdict, causes) for verdict in matched):
        return ""
    name = f"the waiver for {waiver.case!r} ({waiver.link}) no longer applies"
    if not matched:
        return "" if narrowed else f"{name}: it matches no case that was run; remove it or correct its pattern"
    failed = sum(verdict.status in FAILURES for verdict in matched)
    if failed:
        return f"{name}: of the cases that it matches {failed} fail, but none by {waiver.deviation}; track the new cause or remove it"
    return f"{name}: every case that it matches passes ({len(matched)}); remove it"
