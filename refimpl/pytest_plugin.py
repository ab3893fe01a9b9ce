"""A pytest plugin: `pytest --refimpl-backend package.module:factory` judges a backend, with a test per golden vector under its id.

Unsupported cases are skips with the reason; a waived failure is an expected failure that must fail. One's own test function can ask
for `refimpl_case` (it runs once per vector) and `refimpl_judge`. Nothing of refimpl is imported before it is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .backends import BackendRun, Capabilities
    from .backends.outcome import Outcome
    from .case import Golden
    from .judging.verdict import CaseVerdict, Report
    from .judging.waivers import Waiver

REGISTERED = "refimpl-vectors"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("refimpl", "golden vectors of the Adam family")
    add = group.addoption
    add("--refimpl-backend", metavar="BACKEND", help="judge this backend: package.module:factory, or torch, numba, reference")
    add("--refimpl-vectors", metavar="DIR", help="golden vectors (default: ./vectors, or those that refimpl brings)")
    add("--refimpl-dialect", metavar="NAME", action="append", default=[], help="only this dialect (may be repeated)")
    add("--refimpl-case", metavar="GLOB", action="append", default=[], help="only cases whose id matches (may be repeated)")
    add("--refimpl-device", metavar="D", help="passed to the backend's factory")
    add("--refimpl-option", metavar="KEY=VALUE", action="append", default=[], help="passed to the factory (may be repeated)")
    add("--refimpl-require", metavar="CLASS", help="the numerics class to satisfy (default: as `refimpl check`)")
    add("--refimpl-waivers", metavar="FILE", help="known failures, as `refimpl check --waivers` takes them")
    add("--refimpl-timeout", metavar="S", type=float, default=60.0, help="seconds per case (default: 60)")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "refimpl(dialect, case): which vectors the fixture refimpl_case gives, a name and a glob")
    if config.getoption("refimpl_backend") and not config.pluginmanager.has_plugin(REGISTERED):
        config.pluginmanager.register(Vectors(config), REGISTERED)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize `refimpl_case` with the selected vectors."""
    if "refimpl_case" not in metafunc.fixturenames:
        return
    marker = metafunc.definition.get_closest_marker("refimpl")
    wanted = marker.kwargs if marker else {}
    goldens = _read(metafunc.config, [wanted["dialect"]] if "dialect" in wanted else None, [wanted["case"]] if "case" in wanted else None)
    metafunc.parametrize("refimpl_case", goldens, ids=[golden.case.id for golden in goldens])


@pytest.fixture
def refimpl_judge(request: pytest.FixtureRequest) -> Callable[[Any, Golden], None]:
    """refimpl_judge(backend, refimpl_case): run the case in this process, and fail, skip or pass as its verdict says."""
    from .backends.execute import execute
    from .backends.refusals import run_with_control
    from .judging.compare import judge

    def judged(backend: Any, golden: Golden) -> None:
        required = _required(request.config)
        outcome = run_with_control(golden, lambda case_golden: execute(backend, case_golden))
        _conclude(golden, outcome, judge(golden, outcome, required), required, {})

    return judged


class VectorFailure(Exception):
    """A case that fails; the text is what `refimpl check` says of it."""


class KnownFailure(VectorFailure):
    """A failure with a waiver."""


class Vectors:
    """The vectors that were asked for as tests, and the backend that they share."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.judged: list[tuple[Golden, Outcome, CaseVerdict]] = []

    @cached_property
    def run(self) -> BackendRun:
        from .backends import run_backend

        pairs: list[str] = self.config.getoption("refimpl_option")
        if any("=" not in option for option in pairs):
            raise pytest.UsageError(f"--refimpl-option {pairs}: each must be KEY=VALUE")
        options = dict(option.split("=", 1) for option in pairs)
        device, timeout = self.config.getoption("refimpl_device"), self.config.getoption("refimpl_timeout")
        return run_backend(self.config.getoption("refimpl_backend"), [], device, options, timeout)

    @cached_property
    def waivers(self) -> tuple[Waiver, ...]:
        from .judging.waivers import read_waivers

        file = self.config.getoption("refimpl_waivers")
        return _or_usage_error(lambda: read_waivers(Path(file))) if file else ()

    @pytest.hookimpl(tryfirst=True)  # before -k and similar options select
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        claimed = _or_usage_error(lambda: self.run).dialects
        dialects = self.config.getoption("refimpl_dialect") or list(claimed)
        group = Group.from_parent(session, name="refimpl", nodeid="refimpl")
        items += [
            VectorItem.from_parent(group, name=golden.case.id, golden=golden, vectors=self)
            for golden in _read(self.config, dialects, claims=claimed)
        ]

    def pytest_unconfigure(self) -> None:
        if "run" in vars(self):
            self.run.close()

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """The causes of all failures together; where tests ran in other processes, each failure has shown its own."""
        from .judging.diagnose import diagnose, leads_of
        from .report.terminal import evidence

        if not self.judged:
            return
        goldens, outcomes, verdicts = zip(*self.judged)
        required = _required(self.config)
        causes = diagnose(goldens, outcomes, verdicts, required)
        leads = leads_of(goldens, outcomes, verdicts, causes, required)
        if causes or leads:
            terminalreporter.section("refimpl: causes")
        for line in evidence(verdicts, causes, leads, required):
            terminalreporter.line(line)

    def judge(self, golden: Golden) -> None:
        from .judging.compare import judge

        required = _required(self.config)
        outcome = self.run.outcome(golden)
        verdict = judge(golden, outcome, required)
        self.judged.append((golden, outcome, verdict))
        command = {"command": f"refimpl check {self.config.getoption('refimpl_backend')}"}
        _conclude(golden, outcome, verdict, required, command, self.waiver(golden))

    def waiver(self, golden: Golden) -> Waiver | None:
        from fnmatch import fnmatchcase

        return next((waiver for waiver in self.waivers if fnmatchcase(golden.case.id, waiver.case)), None)


class Group(pytest.Collector):
    """The parent of all vectors: their ids begin with refimpl::."""

    def collect(self) -> Iterator[pytest.Item]:
        yield from ()


class VectorItem(pytest.Item):
    """One golden vector as a test."""

    def __init__(self, *, golden: Golden, vectors: Vectors, **rest: Any) -> None:
        super().__init__(**rest)
        self.golden, self.vectors = golden, vectors
        waiver = vectors.waiver(golden)
        if waiver:
            self.add_marker(pytest.mark.xfail(reason=str(waiver), raises=KnownFailure, strict=True))

    def runtest(self) -> None:
        self.vectors.judge(self.golden)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        return str(excinfo.value) if isinstance(excinfo.value, VectorFailure) else super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        # Not the id itself: pytest takes that for a Python name, and shows its dots as colons.
        return _directory(self.config), None, f"vector {self.golden.case.id}"


def _directory(config: pytest.Config) -> Path:
    from .vectors.places import here

    named = config.getoption("refimpl_vectors")
    return Path(named) if named else here()


def _read(
    config: pytest.Config,
    dialects: list[str] | None = None,
    cases: list[str] | None = None,
    claims: Mapping[str, Capabilities] | None = None,
) -> list[Golden]:
    from .checking.claimed import claimed_by_name, without_unclaimed
    from .dialects import dialect
    from .vectors import read_manifest
    from .vectors.selection import select

    directory = _directory(config)
    there = _or_usage_error(lambda: read_manifest(directory)).dialects
    asked = config.getoption("refimpl_dialect") or dialects or list(there)
    _or_usage_error(lambda: [dialect(name) for name in asked])  # a misspelt name would silently select nothing
    selected = [name for name in asked if name in there]
    globs = cases or config.getoption("refimpl_case")
    if not selected:
        return []
    return list(
        without_unclaimed(_or_usage_error(lambda: select(directory, selected, globs)), globs, claimed_by_name(claims or {})).goldens
    )


def _or_usage_error(make: Callable[[], Any]) -> Any:
    """The result of a call; a RefimplError becomes a usage error of pytest with the message and the hint."""
    from .errors import RefimplError

    try:
        return make()
    except RefimplError as error:
        raise pytest.UsageError(str(error), *([error.hint] if error.hint else [])) from error


def _required(config: pytest.Config) -> str:
    from .arithmetic import CLASSES
    from .check import default_class

    asked = config.getoption("refimpl_require")
    if asked and asked not in CLASSES:
        raise pytest.UsageError(f"--refimpl-require {asked}: choose from {', '.join(CLASSES)}")
    return str(asked or default_class(config.getoption("refimpl_device")))


def _conclude(
    golden: Golden, outcome: Outcome, verdict: CaseVerdict, required: str, environment: dict[str, str], waiver: Waiver | None = None
) -> None:
    """Pass, skip with the reason, or raise with all that is known of the failure."""
    from .judging.diagnose import diagnose
    from .judging.verdict import Report, Status
    from .report.terminal import failure

    if verdict.status is Status.PASSED:
        return
    if verdict.status is Status.UNSUPPORTED:
        pytest.skip(verdict.reason)
    report: Report = Report("", "", "", required, "", (verdict,), environment=environment)
    causes = diagnose([golden], [outcome], [verdict], required)
    names = [cause.name for cause in causes] + [other for cause in causes for other in cause.also]
    told = [f"  the numbers are those of: {', '.join(names)}"] if names else []
    known = waiver is not None and (not waiver.deviation or waiver.deviation in names)
    raise (KnownFailure if known else VectorFailure)("\n".join([*failure(verdict, report), *told]))
