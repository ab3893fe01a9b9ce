"""Several ranks: what each found, and where replicas differ, from what the ranks left in a store. No framework is known here."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..common.text import counted, first_few, listed
from ._judge import Judgement

DETAILED = 512
"""Judged calls of which a rank keeps a digest for each array; where there are more, those of every second one are dropped."""

SAID = 3
"""Failing calls of another rank that a report quotes."""

Detail = Mapping[str, str]
"""`array of 'parameter'` -> the digest of its bits."""


def digest(content: Any) -> str:
    """64 bits of the SHA-256 of an array's memory."""
    return hashlib.sha256(content).hexdigest()[:16]


@dataclass(eq=False)
class Digests:
    """The digests of what a rank claims to hold as others do, after each judged call. stride: of the calls whose arrays are kept apart."""

    of_call: dict[int, str] = field(default_factory=dict)
    details: dict[int, Detail] = field(default_factory=dict)
    _taken: int = 0
    _stride: int = 1

    def take(self, call: int, detail: Detail) -> None:
        self.of_call[call] = digest(json.dumps(detail, sort_keys=True).encode())
        if self._taken % self._stride == 0:
            self.details[call] = detail
        self._taken += 1
        if len(self.details) > DETAILED:
            self._stride *= 2
            self.details = dict(list(self.details.items())[::2])


@dataclass(frozen=True)
class RankResult:
    """What one rank found. members: the ranks that it shares its replicas with; failures: the words of its first failing calls."""

    rank: int
    calls: int
    judged: int
    elements: int
    compared: int
    failing: int
    members: tuple[int, ...]
    failures: tuple[str, ...]
    of_call: Mapping[int, str]
    details: Mapping[int, Detail]

    def written(self) -> bytes:
        return json.dumps(vars(self)).encode()

    @classmethod
    def read(cls, content: bytes) -> RankResult:
        plain = json.loads(content)
        numbered = {name: {int(call): value for call, value in plain[name].items()} for name in ("of_call", "details")}
        return cls(**{**plain, **numbered, "members": tuple(plain["members"]), "failures": tuple(plain["failures"])})


def result_of(rank: int, session: Any, members: Sequence[int], digests: Digests) -> RankResult:
    judged: Sequence[Judgement] = session.judgements
    return RankResult(
        rank=rank,
        calls=session.calls,
        judged=len(judged),
        elements=sum(judgement.cleared + judgement.proven for judgement in judged),
        compared=sum(judgement.compared for judgement in judged),
        failing=session.failing,
        members=tuple(members),
        failures=tuple(str(failure) for failure in session.failures[:SAID]),
        of_call=digests.of_call,
        details=digests.details,
    )


@dataclass(frozen=True)
class Difference:
    """Where replicas first differ. ranks: those that differ from `others`, which are the more; seen: the call that `arrays` is of."""

    call: int
    ranks: tuple[int, ...]
    others: tuple[int, ...]
    arrays: tuple[str, ...]
    seen: int

    @property
    def words(self) -> str:
        one = len(self.ranks) == 1
        said = f"{_named(self.ranks)} {'differs' if one else 'differ'} from {_named(self.others)} first after call {self.call}"
        arrays = first_few(list(self.arrays)) or "the digests of their arrays were dropped"
        return f"{said}: {arrays}" if self.seen == self.call else f"{said}; after call {self.seen}: {arrays}"


@dataclass(frozen=True)
class AllRanks:
    """The results of all ranks, on rank 0. missing: ranks that left none; notes: what could not be compared."""

    world: int
    results: tuple[RankResult, ...]
    missing: tuple[int, ...] = ()
    differences: tuple[Difference, ...] = ()
    notes: tuple[str, ...] = ()
    compared: int = 0

    @property
    def wrong(self) -> bool:
        return bool(self.differences) or any(result.failing for result in self.results)

    @property
    def judged(self) -> bool:
        return any(result.elements or result.compared for result in self.results)

    @property
    def sentence(self) -> str:
        """What the verdict says of the ranks."""
        said = [f"{_named((result.rank,))} has {counted(result.failing, 'wrong call')}" for result in self.results if result.failing]
        idle = tuple(result.rank for result in self.results if not result.elements and not result.compared)
        said += [f"nothing was judged on {_named(idle)}"] if idle else []
        said += [difference.words for difference in self.differences[:1]]
        said += [f"{_named(self.missing)} left no result"] if self.missing else []
        if self.compared:
            calls = counted(self.compared, "call")
            said += [] if self.differences else [f"the replicas are equal, bit by bit, after each of {calls}"]
        else:
            said.append("no replicas were compared")
        return f"of {counted(self.world, 'rank')}: {'; '.join(said)}"

    def lines(self) -> Iterator[str]:
        for result in self.results:
            idle = "" if result.elements or result.compared else ": nothing was judged"
            yield (
                f"rank {result.rank}: {counted(result.calls, 'call')}, {result.judged} judged, {result.elements:,} elements, "
                f"{result.failing} wrong{idle}"
            )
        yield from (f"rank {rank}: no result" for rank in self.missing)
        yield from (f"DIFFERENT {difference.words}" for difference in self.differences)
        yield from (f"note: {words}" for words in self.notes)
        yield from (f"rank {result.rank}: {words}" for result in self.results if result.rank for words in result.failures)

    def document(self) -> dict[str, Any]:
        names = ("rank", "calls", "judged", "elements", "compared", "failing", "failures")
        return {
            "world": self.world,
            "results": [{name: getattr(result, name) for name in names} for result in self.results],
            "missing": list(self.missing),
            "calls_compared": self.compared,
            "differences": [vars(difference) for difference in self.differences],
            "notes": list(self.notes),
        }


def together(world: int, results: Sequence[RankResult]) -> AllRanks:
    """The results of all ranks as one, with the first difference between replicas in each set of ranks that shares them."""
    by_rank = {result.rank: result for result in results}
    differences, notes, compared = [], [], 0
    if len({result.calls for result in results}) > 1:
        notes.append("the ranks made different numbers of calls")
    for members in sorted({result.members for result in results if len(result.members) > 1}):
        sharing = [by_rank[rank] for rank in members if rank in by_rank and by_rank[rank].members == members]
        if len(sharing) < len(members):
            notes.append(f"replicas on {_named(members)}: only {counted(len(sharing), 'rank')} left digests")
        common = sorted(set.intersection(*(set(result.of_call) for result in sharing))) if len(sharing) > 1 else []
        compared += len(common)
        call = next((call for call in common if len({result.of_call[call] for result in sharing}) > 1), None)
        if call is not None:
            differences.append(_difference(call, sharing))
    missing = tuple(rank for rank in range(world) if rank not in by_rank)
    return AllRanks(world, tuple(results), missing, tuple(differences), tuple(notes), compared)


def _difference(call: int, sharing: Sequence[RankResult]) -> Difference:
    times = Counter(result.of_call[call] for result in sharing)
    first = sharing[0].of_call[call]
    usual = max(times, key=lambda value: (times[value], value == first))
    ranks = tuple(result.rank for result in sharing if result.of_call[call] != usual)
    others = tuple(result.rank for result in sharing if result.of_call[call] == usual)
    odd, even = (next(result for result in sharing if result.rank == group[0]) for group in (ranks, others))
    seen = min((kept for kept in odd.details if kept >= call and kept in even.details), default=call)
    one, other = odd.details.get(seen, {}), even.details.get(seen, {})
    arrays = tuple(name for name in {**other, **one} if one.get(name) != other.get(name))
    return Difference(call, ranks, others, arrays, seen)


def _named(ranks: Sequence[int]) -> str:
    return f"rank {ranks[0]}" if len(ranks) == 1 else f"ranks {listed([str(rank) for rank in ranks])}"
