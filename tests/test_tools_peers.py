"""tools/peers.py: the command, and that the page which is kept here is what the results render to."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_reports import failed, passed, report
from toy_peer import CLAIM, HERE, LAST_WINS, TOOLS, matrix, page, peers, runs, table, toy

from refimpl.errors import HarnessError
from refimpl.judging.verdict import Report


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run the command over one peer, `toy`, whose routes give what `reports` holds: exit code, stdout, stderr."""
    reports: dict[str, Report] = {}

    def run_route(peer: Any, route: str, *rest: Any) -> Report:
        if route not in reports:
            raise HarnessError(f"no worker for {route}")
        return reports[route]

    monkeypatch.setattr(peers, "KEPT", tmp_path / "kept")
    monkeypatch.setattr(peers, "WORK", tmp_path / "work")
    routes = {name: table.Route(f"toy.{name}", ("torch.SparseAdam",)) for name in ("lazy", "quick")}
    peer = replace(toy(tmp_path, claims=[CLAIM]), routes=routes)
    monkeypatch.setattr(peers, "find_peer", lambda name: peer)
    monkeypatch.setattr(peers, "read_peers", lambda: {"toy": peer})
    monkeypatch.setattr(peers, "make_environment", lambda *rest: HERE)
    monkeypatch.setattr(peers, "make_vectors", lambda dialect, root: root)
    monkeypatch.setattr(peers, "run_route", run_route)

    def call(*arguments: str, **made: Any) -> tuple[int, str, str]:
        reports.clear()
        reports.update(made)
        return peers.main(arguments), *capsys.readouterr()

    return call


OFF = report(passed(), failed(), diagnoses=(LAST_WINS,))
FINE = report(passed())


def test_run_keeps_results_and_matrix_writes_the_page(command: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    code, out, _ = command("run", "--all", lazy=OFF, quick=FINE)
    assert code == 0
    assert "toy lazy torch.SparseAdam: 1 passed, 1 failed; attained exact-faithful\n  duplicates-last-wins" in out
    assert command("matrix", "--check")[0] == 1
    assert command("matrix")[0] == 0
    assert command("matrix", "--check")[:2] == (0, "")
    assert json.loads((tmp_path / "kept" / "matrix.json").read_text())["rows"][1]["route"] == "quick"
    (tmp_path / "kept" / "README.md").write_text("ieee everywhere")
    code, out, _ = command("matrix", "--check")
    assert code == 1
    assert "README.md: is not what the results and tables give" in out


def test_a_claim_that_does_not_hold_exits_with_1(command: Callable[..., tuple[int, str, str]]) -> None:
    code, out, _ = command("run", "toy", lazy=FINE, quick=FINE)
    assert code == 1
    assert "has no result" in out
    assert command("matrix")[0] == 1


def test_a_single_route_leaves_the_others_as_they_are_kept(command: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    command("run", "toy", lazy=OFF, quick=FINE)
    before = (tmp_path / "kept" / "toy.json").read_text()
    assert command("run", "toy", "--route", "quick", quick=FINE)[0] == 0
    assert (tmp_path / "kept" / "toy.json").read_text() == before


def test_a_route_that_cannot_be_run_stops_the_command_unless_it_shall_go_on(
    command: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    code, _, err = command("run", "toy", quick=FINE)
    assert (code, (tmp_path / "kept").exists()) == (3, False)
    assert "no worker for lazy" in err
    code, out, err = command("run", "toy", "--keep-going", quick=FINE)
    assert code == 3
    assert "toy lazy: no worker for lazy" in err
    assert list(json.loads((tmp_path / "kept" / "toy.json").read_text())["routes"]) == ["quick"]
    assert "toy quick torch.SparseAdam: 1 passed" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["run"], "give the NAME of a peer, or --all"), (["run", "toy", "--all"], "or --all"), (["fly"], "fly"), ([], "run|matrix|list")],
)
def test_arguments_that_do_not_fit_are_refused(
    command: Callable[..., tuple[int, str, str]], arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        command(*arguments)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_a_route_that_there_is_not_is_named(command: Callable[..., tuple[int, str, str]]) -> None:
    code, _, err = command("run", "toy", "--route", "slow")
    assert code == 2
    assert "there is no 'slow'" in err
    assert "choose from lazy, quick" in err


def test_list_names_every_peer(command: Callable[..., tuple[int, str, str]]) -> None:
    assert "toy: Toy, kept: not run" in command("list")[1]
    command("run", "toy", lazy=OFF, quick=FINE)
    out = command("list")[1]
    assert "toy: Toy, kept: 7.1, no environment, Python 3.11" in out
    assert "  quick  torch.SparseAdam: toy.quick" in out


def test_help_shows_how_to_run_every_peer() -> None:
    shown = subprocess.run([sys.executable, str(TOOLS / "peers.py"), "--help"], capture_output=True, text=True, check=True).stdout
    assert "python tools/peers.py run --all --keep-going" in shown


def kept() -> dict[str, Any]:
    """Every result that is kept, by the name of its file."""
    return {file.name: matrix.read_result(file) for file in sorted(peers.KEPT.glob("*.json")) if file.stem != "matrix"}


def test_the_page_and_its_json_are_what_the_results_and_tables_render_to() -> None:
    made = matrix.build(table.read_peers(), peers.KEPT)
    assert (peers.KEPT / "README.md").read_text(encoding="utf-8") == page.to_markdown(made)
    assert (peers.KEPT / "matrix.json").read_text(encoding="utf-8") == matrix.to_json(made)


def test_the_results_confirm_every_claim_and_waiver() -> None:
    assert matrix.build(table.read_peers(), peers.KEPT).problems == []


def test_no_cell_is_waived_without_reason_and_link() -> None:
    for name, stored in kept().items():
        for route, _, reduced in matrix.judged(stored):
            waived = sum(theme.get("waived", 0) for theme in reduced["themes"].values())
            told = reduced.get("waived", [])
            assert sum(group["cases"] for group in told) == waived, (name, route)
            assert all("(http" in group["reason"] for group in told), (name, route)


def test_every_result_is_as_the_tool_writes_it() -> None:
    for name, stored in kept().items():
        assert (peers.KEPT / name).read_text(encoding="utf-8") == runs.to_json(stored), name
