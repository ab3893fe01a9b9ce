"""A route of a peer: its backend is run by the peer's interpreter, with the peer's variables, and what is kept of a report."""

import os
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from make_golden import golden
from toy_peer import HERE, runs, toy

from refimpl.errors import HarnessError
from refimpl.judging.verdict import Status
from refimpl.vectors import write_manifest, write_theme

BACKEND = """
    import os, signal, sys

    from refimpl.backends.reference import factory as reference


    class Toy:
        name, version, dialects = "toy", "7.1", ("torch.SparseAdam",)

        def start(self, case):
            if case.theme == "eps":
                FAIL
            return reference().start(case)


    def factory(route):
        assert route == "lazy", route
        return Toy()
"""


@pytest.fixture
def two_themes(tmp_path: Path) -> Path:
    directory = tmp_path / "vectors"
    for theme in ("basics", "eps"):
        write_theme(directory, [golden(theme=theme)])
    write_manifest(directory)
    return directory


def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, directory: Path, fail: str = "pass", option: str = "lazy", **changes: Any) -> Any:
    peer = toy(tmp_path, routes={"lazy": {"about": "toy.Lazy", "dialects": ["torch.SparseAdam"], "options": {"route": option}}})
    (tmp_path / "toy_backend.py").write_text(textwrap.dedent(BACKEND).replace("FAIL", fail))
    monkeypatch.setattr(runs, "BACKENDS", tmp_path)
    return runs.run_route(replace(peer, backend="toy_backend:factory", **changes), "lazy", "torch.SparseAdam", HERE, directory)


def test_a_route_is_judged_with_its_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, two_themes: Path) -> None:
    made = ran(tmp_path, monkeypatch, two_themes)
    assert [verdict.status for verdict in made.verdicts] == [Status.PASSED] * 2
    assert (made.required, made.backend) == ("tensor-faithful", "Toy 7.1, toy.Lazy")


@pytest.mark.parametrize(
    ("fail", "reason"), [("os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"), ("import time; time.sleep(600)", "no answer within 2 s")]
)
def test_a_case_that_crashes_or_hangs_fails_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, two_themes: Path, fail: str, reason: str
) -> None:
    made = ran(tmp_path, monkeypatch, two_themes, fail, timeout=2.0)
    assert [verdict.status for verdict in made.verdicts] == [Status.PASSED, Status.ERROR]
    assert reason in made.verdicts[1].reason


def test_a_backend_that_cannot_be_made_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, two_themes: Path) -> None:
    with pytest.raises(HarnessError, match=r"(?s)the factory toy_backend:factory raised.*AssertionError: quick"):
        ran(tmp_path, monkeypatch, two_themes, option="quick")


def test_a_backend_gets_the_variables_of_its_peer_and_its_own_search_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, two_themes: Path
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    check = "assert os.environ['TOY'] == 'yes' and '/nowhere' not in sys.path"
    made = ran(tmp_path, monkeypatch, two_themes, check, prelude={"TOY": "yes"})
    assert [verdict.status for verdict in made.verdicts] == [Status.PASSED] * 2
    assert "TOY" not in os.environ
    assert os.environ["PYTHONPATH"] == "/nowhere"


def test_a_reason_is_the_same_on_every_machine() -> None:
    line = "crashed: /tmp/refimpl-x1y2/torch.Adam/eps.npz: <toy at 0x7f12ab> in /home/me/venv/lib/site-packages/toy/adam.py\nmore"
    assert runs._plain(line) == "crashed: torch.Adam/eps.npz: <toy at 0x...> in toy/adam.py"
    assert len(runs._plain("x" * 999)) == runs.REASON_LIMIT
