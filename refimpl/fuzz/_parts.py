"""Parts of a campaign: what a shard has judged, as a file, and putting all parts together.

A part says which campaign it belongs to, which numbers it was to run and that it ran all of them; its digest shows that it is whole. Only a
full set of such parts is a campaign: a part that is missing, cut or incomplete never counts as passed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import HarnessError, UsageError
from ._campaign import SHRUNK, Identity, Result, Settings, Shrunk
from ._records import digest, result_data, result_of, shrunk_data, shrunk_of

KIND, FORMAT = "refimpl fuzz part", 1


@dataclass(frozen=True)
class Part:
    """Some of the cases of a campaign, by number. index, count: which part of how many; stopped: why it is not complete, or ""."""

    identity: Identity
    index: int
    count: int
    results: tuple[Result, ...]
    shrunk: tuple[Shrunk, ...]
    stopped: str = ""

    @property
    def missing(self) -> int:
        """Cases that the campaign has, or would have had, and that were not run."""
        cases = self.identity.settings.cases
        return 0 if cases is None else len(range(self.index - 1, cases, self.count)) - len(self.results)

    def text(self) -> str:
        data = {
            "kind": KIND,
            "format": FORMAT,
            "identity": self.identity.as_data(),
            "part": [self.index, self.count],
            "stopped": self.stopped,
            "results": [result_data(result) for result in self.results],
            "shrunk": [shrunk_data(shrunk) for shrunk in self.shrunk],
        }
        plain = json.loads(json.dumps(data))  # tuples become lists, as a reader of the file gets them
        return json.dumps({**plain, "digest": digest(plain)}, indent=1) + "\n"


def read_part(file: Path) -> Part:
    """A part from its file. Raises UsageError for what is no part, HarnessError for one that is not whole."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: cannot be read: {error}", "name the files that --shard wrote") from None
    try:
        data = json.loads(text)
    except ValueError:
        if KIND in text[:200] or not text.strip():
            raise HarnessError(f"{file}: is cut off, so that nothing is known of its cases", "run that shard again") from None
        raise _no_part(file) from None
    if not isinstance(data, dict) or data.get("kind") != KIND:
        raise _no_part(file)
    if data.get("format") != FORMAT:
        raise UsageError(f"{file}: format {data.get('format')!r}, and this refimpl reads {FORMAT}", "run all shards with one refimpl")
    recorded = data.pop("digest", None)
    if recorded != digest(data):
        raise HarnessError(f"{file}: is not what a shard wrote: its digest differs", "run that shard again")
    try:
        return _decoded(data)
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{file}: is no part that this refimpl can read: {error}", "run all shards with one refimpl") from None


def _no_part(file: Path) -> UsageError:
    return UsageError(f"{file}: is no part of a campaign", "a part is what `refimpl fuzz --shard I/N --json FILE` writes")


def _decoded(data: dict[str, Any]) -> Part:
    identity = data["identity"]
    settings = identity["settings"]
    index, count = data["part"]
    made = Settings(**{**settings, "dialects": tuple(settings["dialects"]), "options": tuple(tuple(pair) for pair in settings["options"])})
    return Part(
        Identity(**{**identity, "settings": made, "dialects": tuple(identity["dialects"])}),
        index,
        count,
        tuple(map(result_of, data["results"])),
        tuple(map(shrunk_of, data["shrunk"])),
        data["stopped"],
    )


def merged(files: Sequence[Path], parts: Sequence[Part]) -> Part:
    """All parts of a campaign as one; raises UsageError for those that do not belong together, HarnessError where something is missing."""
    first = parts[0]
    indices: dict[int, Path] = {}
    for file, part in zip(files, parts):
        differing = _differences(first, part)
        if differing:
            raise UsageError(f"{file}: belongs to another campaign than {files[0]}: {differing}", "merge the shards of one campaign")
        if part.index in indices:
            raise UsageError(f"{file}: is part {part.index} of {part.count}, and so is {indices[part.index]}", "name each part once")
        indices[part.index] = file
    for file, part in zip(files, parts):
        if part.stopped or part.missing:
            why = part.stopped or f"{part.missing} of its cases are missing"
            raise HarnessError(f"{file}: part {part.index} of {part.count} is not complete: {why}", "run that shard again")
        wanted = range(part.index - 1, part.index - 1 + part.count * len(part.results), part.count)
        if [result.number for result in part.results] != list(wanted):
            raise HarnessError(f"{file}: part {part.index} of {part.count} holds other cases than its own", "run that shard again")
    lost = [index for index in range(1, first.count + 1) if index not in indices]
    if lost:
        raise HarnessError(f"part {', '.join(map(str, lost))} of {first.count} is missing", "name the file of every shard")
    results = sorted((result for part in parts for result in part.results), key=lambda result: result.number)
    shrunk = sorted((shrunk for part in parts for shrunk in part.shrunk), key=lambda shrunk: shrunk.number)[:SHRUNK]
    return Part(first.identity, 1, 1, tuple(results), tuple(shrunk))


def _differences(first: Part, other: Part) -> str:
    """What tells two campaigns apart, in words; "" where it is one."""
    if first.count != other.count:
        return f"{other.count} parts instead of {first.count}"
    pairs = [(key, value, other.identity.as_data()[key]) for key, value in first.identity.as_data().items() if key != "settings"]
    pairs += [(key, value, getattr(other.identity.settings, key)) for key, value in vars(first.identity.settings).items()]
    return "; ".join(f"{key} {there!r} instead of {here!r}" for key, here, there in pairs if here != there)
