"""The search for causes: which hypotheses explain the failures of a dialect, and which of these nothing refutes.

Predictions in double screen every hypothesis on a few small failures; what fits there is screened on all of them; what then explains most
is proven with bounds, and compared with every passing case. A cause that others refute may hold at a place or under a condition.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from ..arithmetic import CLASSES
from ..cases.features import features
from ..dialects import Dialect, dialect
from ._conditions import condition_of
from ._evidence import Fit, Judged, Proof, changed, differ, is_changed, prove, screen
from ._hypothesis import Hypothesis, Plan
from ._pairs import pairs
from ._places import Place, Seen, place_of, seen
from .families import fitted, library, read_off

PROBES = 16
"""Failures on which every hypothesis is screened: the smallest, of different themes first."""

FITTED = 6
"""Failures to which numbers are fitted."""

FEW = 0.1
"""The share of the failures that may stay unexplained: pairs are not tried for so few."""

ENOUGH_FOR_A_PAIR = 2
"""Failures that a pair must explain where so many are left."""

LARGE = 20_000
"""The cost of a case beyond which not every hypothesis is screened on it."""

CERTAIN = 0.5
"""The share of the explained cases that must be evidence, or the cases that are only consistent with a cause do not count."""

NAMED = 3
"""How many sentences follow the first where several hypotheses of one name explain the same cases."""

TIED = 6
"""How many hypotheses that compute the same are named beside the first."""


@dataclass(frozen=True, eq=False)
class Finding:
    """A hypothesis that explains some failures. where: the place or condition in words, empty where it holds everywhere.

    level: the loosest class, as an index, that a proof needed; also: hypotheses that explain the same failures as tightly; variants: the
    hypothesis, and those of the others that differ from it by a number or a detail alone.
    """

    hypothesis: Hypothesis
    explained: tuple[Judged, ...]
    level: int
    where: str = ""
    place: Place | None = None
    also: tuple[Hypothesis, ...] = ()
    variants: tuple[Hypothesis, ...] = ()

    @property
    def id(self) -> str:
        """The name: of the place where nothing else happens there than that old values are kept."""
        return self.place.id if self.place and self.hypothesis.id == "nothing-moves" else self.hypothesis.id

    def sentence(self, sentences: Sequence[str]) -> str:
        """The sentence of the finding, by those of its variants that these are the sentences of."""
        if self.place and self.hypothesis.id == "nothing-moves":
            return f"old values stay in {self.place.words}"
        about = _sentence([hypothesis for hypothesis in self.variants if hypothesis.about in sentences])
        return f"{about}, {self.where}" if self.where else about


def _sentence(variants: Sequence[Hypothesis]) -> str:
    """The sentence of hypotheses that explain the same: a range of numbers, or each of them, since the cases do not tell which."""
    first = variants[0]
    numbers = [hypothesis.number for hypothesis in variants if first.pattern and hypothesis.pattern == first.pattern]
    if len(numbers) > 1:
        return first.pattern.format(n=f"{min(numbers):,} to {max(numbers):,}")
    others = [about for about in dict.fromkeys(hypothesis.about for hypothesis in variants) if about != first.about][:NAMED]
    return "; or ".join([first.about, *others]) + (" (the cases do not tell which)" if others else "")


class Search:
    """The failures of one dialect, and what is known about them. Results are cached: a hypothesis is screened once per case."""

    def __init__(self, table: Dialect, failures: Sequence[Judged], passed: Sequence[Judged], loosest: int) -> None:
        self.table, self.loosest = table, loosest
        self.failures = sorted(failures, key=lambda judged: (judged.cost, judged.golden.case.id))
        self.passed = sorted(passed, key=lambda judged: (judged.cost, judged.golden.case.id))
        self._plans: dict[tuple[Hypothesis, str], Plan | None] = {}
        self._fits: dict[tuple[Hypothesis, str], Fit] = {}
        self._proofs: dict[tuple[Hypothesis, str], Proof | None] = {}
        self._fails: dict[tuple[Hypothesis, str], bool] = {}
        self._fits_of: dict[str, list[Hypothesis]] = {}
        self._limits: dict[str, Hypothesis] = {hypothesis.about: hypothesis for hypothesis in library(table.name)}

    def findings(self) -> Iterator[Finding]:
        """The causes, the one that explains most first; each explains failures that those before it do not."""
        left = list(self.failures)
        named: list[Hypothesis] = []
        while left:
            finding = self._best(self._candidates(left), left)
            if finding is None and len(left) > FEW * len(self.failures):
                finding = self._best(self._pairs(left, named), left)
                if finding is not None and len(finding.explained) < min(len(left), ENOUGH_FOR_A_PAIR):
                    return  # of so many pairs, some fit one case by chance
            if finding is None:
                return
            yield finding
            named.append(finding.hypothesis)
            explained = {id(judged) for judged in finding.explained}
            left = [judged for judged in left if id(judged) not in explained]

    def _candidates(self, left: Sequence[Judged]) -> list[Hypothesis]:
        """What is proven on the probes: those of the library, or, where none is, those that are fitted to a probe's numbers.

        A hypothesis that explains less than half as many probes as another is no candidate while that one is; where it cannot reach
        half as many with the probes that are left, it is not tried on them.
        """
        explained: Counter[Hypothesis] = Counter()
        chosen = probes(left)
        for untried, probe in zip(range(len(chosen), 0, -1), chosen):
            least = max(explained.values(), default=0) / 2 - untried
            known = [hypothesis for hypothesis in (*library(self.table.name), *self._read_off(probe)) if explained[hypothesis] >= least]
            explaining = self._explaining(known, probe) or self._explaining(
                (hypothesis for hypothesis in self._fitted(probe) if explained[hypothesis] >= least), probe
            )
            explained.update(explaining)
        most = max(explained.values(), default=0)
        return [hypothesis for hypothesis, count in explained.items() if 2 * count >= most]

    def _read_off(self, probe: Judged) -> list[Hypothesis]:
        """What is read off a probe; two probes that give the same sentence give one hypothesis."""
        return [self._limits.setdefault(hypothesis.about, hypothesis) for hypothesis in read_off(probe, self.table)]

    def _fitted(self, probe: Judged) -> list[Hypothesis]:
        """The hypotheses that are fitted to a probe, of the first few probes only: a fit takes as long as twenty predictions."""
        key = probe.golden.case.id
        if probe.cost > LARGE and len(self.failures) > 1:
            return []
        if key not in self._fits_of and len(self._fits_of) < FITTED:
            self._fits_of[key] = list(fitted(probe, self.table))
        return self._fits_of.get(key, [])

    def _explaining(self, hypotheses: Iterable[Hypothesis], probe: Judged) -> list[Hypothesis]:
        return [hypothesis for hypothesis in hypotheses if self.fit(hypothesis, probe) is not Fit.NONE and self._tells(hypothesis, probe)]

    def _tells(self, hypothesis: Hypothesis, judged: Judged) -> bool:
        proof = self.proof(hypothesis, judged)
        return proof is not None and proof.tells

    def _pairs(self, left: Sequence[Judged], named: Sequence[Hypothesis]) -> list[Hypothesis]:
        explaining: dict[Hypothesis, None] = {}
        for probe in [probe for probe in probes(left) if probe.cost <= LARGE][:3]:
            for hypothesis in pairs(probe, self.table, named):
                if self._explains(hypothesis, probe) and all(self._adds(hypothesis, member, probe) for member in hypothesis.members):
                    explaining[hypothesis] = None
        return list(explaining)

    def _adds(self, pair: Hypothesis, member: Hypothesis, probe: Judged) -> bool:
        """Whether a pair computes something else than one of its members alone: the other is more than a rounding, and has an effect."""
        plan, alone = self.plan(pair, probe), self.plan(member, probe)
        return plan is not None and (alone is None or differ(plan, alone, probe))

    def _explains(self, hypothesis: Hypothesis, probe: Judged) -> bool:
        return self.fit(hypothesis, probe) is Fit.FULL and self._tells(hypothesis, probe)

    def _best(self, candidates: Iterable[Hypothesis], left: Sequence[Judged]) -> Finding | None:
        """The candidate that explains most of what is left; of several, the one that needs the tightest class, then the plainest."""
        most = {hypothesis: sum(self.fit(hypothesis, judged) is not Fit.NONE for judged in left) for hypothesis in candidates}
        findings: list[Finding] = []
        for hypothesis in sorted(most, key=lambda hypothesis: (-most[hypothesis], hypothesis.rank)):
            if findings and most[hypothesis] < max(len(finding.explained) for finding in findings):
                break  # none of the rest can explain as many
            finding = self._finding(hypothesis, left)
            if finding is not None:
                findings.append(finding)
        if not findings:
            return None
        findings.sort(
            key=lambda finding: (
                -len(finding.explained),
                finding.level,
                bool(finding.where),
                _misses_what_all_have(finding),
                finding.hypothesis.rank,
            )
        )
        best = findings[0]
        same = [
            other for other in findings[1:] if set(map(id, other.explained)) == set(map(id, best.explained)) and other.level == best.level
        ]
        distinct = {other.id: other.hypothesis for other in reversed(same) if other.id != best.id}
        variants = [
            other.hypothesis
            for other in same
            if (other.id, other.where, other.hypothesis.rank) == (best.id, best.where, best.hypothesis.rank)
        ]
        return replace(best, also=tuple(distinct.values())[::-1][:TIED], variants=(best.hypothesis, *variants))

    def _finding(self, hypothesis: Hypothesis, left: Sequence[Judged]) -> Finding | None:
        full = [judged for judged in left if self.fit(hypothesis, judged) is Fit.FULL]
        placed = [judged for judged in left if self.fit(hypothesis, judged) is Fit.PLACE]
        place, where = None, ""
        if placed:
            place = self._place(hypothesis, full + placed)
        if place is not None:
            full, where = full + placed, f"only in {place.words}"
        explained = [judged for judged in full if self.proof(hypothesis, judged) is not None]
        evidence = [judged for judged in explained if self._tells(hypothesis, judged)]
        if not evidence:
            return None
        if len(evidence) < CERTAIN * len(explained):
            explained = evidence  # a case that is only consistent counts where most are evidence
        if place is None:
            against = (judged for judged in self._concerned(hypothesis, explained) if self.fails(hypothesis, judged))
            if condition_of(explained, against) is None:
                return None
            anywhere = (judged for judged in self.passed if self.fails(hypothesis, judged))
            condition = condition_of(explained, anywhere)
            where = f"only with {condition}" if condition else ""
        level = max(proof.level for judged in evidence if (proof := self.proof(hypothesis, judged)) is not None)
        return Finding(hypothesis, tuple(explained), level, where, place)

    def _place(self, hypothesis: Hypothesis, explained: Sequence[Judged]) -> Place | None:
        """Where the hypothesis holds, if that is a place that the failing cases show and no passing case refutes."""
        evidence = [self._seen(hypothesis, judged) for judged in explained]
        if place_of(evidence) is None:
            return None
        return place_of([*evidence, *(self._seen(hypothesis, judged) for judged in self._concerned(hypothesis, explained))])

    def _concerned(self, hypothesis: Hypothesis, explained: Sequence[Judged]) -> list[Judged]:
        """The passing cases with gradients of the same forms that the hypothesis may change."""
        forms = {judged.forms for judged in explained}
        return [judged for judged in self.passed if judged.forms in forms and self.plan(hypothesis, judged) is not None]

    def _seen(self, hypothesis: Hypothesis, judged: Judged) -> Seen:
        plan = self.plan(hypothesis, judged)
        return seen(judged, {} if plan is None else changed(plan, judged))

    def plan(self, hypothesis: Hypothesis, judged: Judged) -> Plan | None:
        key = hypothesis, judged.golden.case.id
        if key not in self._plans:
            self._plans[key] = hypothesis.plan(judged.golden.case, self.table)
        return self._plans[key]

    def fit(self, hypothesis: Hypothesis, judged: Judged) -> Fit:
        key = hypothesis, judged.golden.case.id
        if key not in self._fits:
            plan = self.plan(hypothesis, judged)
            self._fits[key] = Fit.NONE if plan is None else screen(plan, judged)
        return self._fits[key]

    def proof(self, hypothesis: Hypothesis, judged: Judged) -> Proof | None:
        """The proof that the hypothesis explains a failure which it fits."""
        key = hypothesis, judged.golden.case.id
        if key not in self._proofs:
            plan = self.plan(hypothesis, judged)
            self._proofs[key] = None if plan is None else prove(plan, judged, self.loosest)
        return self._proofs[key]

    def fails(self, hypothesis: Hypothesis, judged: Judged) -> bool:
        """Whether a passing case would fail if the backend did what the hypothesis says."""
        key = hypothesis, judged.golden.case.id
        if key not in self._fails:
            caught = hypothesis.id in judged.golden.case.catches
            plan = None if caught else self.plan(hypothesis, judged)
            self._fails[key] = caught or (plan is not None and is_changed(plan, judged))
        return self._fails[key]


def _misses_what_all_have(finding: Finding) -> bool:
    """Whether every explained case has an empty gradient, and the hypothesis is not about that."""
    if "empty" in finding.hypothesis.id:
        return False
    return all(any("empty" in own for own in features(judged.golden).values()) for judged in finding.explained)


def probes(left: Sequence[Judged]) -> list[Judged]:
    """The smallest failures, of different themes first; a large one only where there is no other."""
    small = [judged for judged in left if judged.cost <= LARGE] or left[:1]
    first: dict[str, Judged] = {}
    for judged in small:
        first.setdefault(judged.golden.case.theme, judged)
    chosen = list(first.values())
    chosen += [judged for judged in small if judged not in chosen]
    return chosen[:PROBES]


def loosest_class(passed: Sequence[str], required: str) -> int:
    """The class, as an index, in which a cause must be proven: the loosest that the backend needs elsewhere, if it has shown that often."""
    enough = 10
    return max(map(CLASSES.index, passed)) if len(passed) >= enough else CLASSES.index(required)


def search(name: str, failures: Sequence[Judged], passed: Sequence[Judged], loosest: int) -> list[Finding]:
    return _consistent(list(Search(dialect(name), failures, passed, loosest).findings()))


def _consistent(findings: Sequence[Finding]) -> list[Finding]:
    """The findings without those whose fitted number is another in other cases: what is done there is not to take that number."""
    numbers = Counter(finding.id for finding in findings if finding.hypothesis.fitted)
    return [finding for finding in findings if not finding.hypothesis.fitted or numbers[finding.id] == 1]
