"""A route of a peer: what becomes of a runner that fails, and what is kept of a report."""

import textwrap
from dataclasses import replace
from importlib import import_module

import pytest
from make_golden import golden
from toy_peer import HERE, runs, toy

from refimpl.errors import HarnessError
from refimpl.judging.verdict import Status
from refimpl.vectors import write_manifest, write_theme

RUNNER = """
    import os, pathlib, signal, sys, time
    import numpy as np

    vectors, results = map(pathlib.Path, sys.argv[-2:])
    for number, file in enumerate(sorted(vectors.glob("*/*.npz"))):
        if number:
            FAIL
        with np.load(file) as given:
            assert not any("/expect." in name or "/bound." in name for name in given)
        with np.load(pathlib.Path("TRUTH") / file.parent.name / file.name) as given:
            written = {name.replace("expect.", ""): given[name].astype("float32") for name in given if "/expect." in name}
        (results / file.parent.name).mkdir(exist_ok=True)
        np.savez(results / file.parent.name / file.name, **written)
"""
FAILURES = {
    "os.kill(os.getpid(), signal.SIGSEGV)": "was killed by SIGSEGV",
    "time.sleep(600)": "was stopped after 2 s",
    "(results / file.parent.name / file.name).write_bytes(file.read_bytes()[:99]); sys.exit(5)": "ended with exit status 5",
}


@pytest.fixture
def two_themes(tmp_path):
    directory = tmp_path / "vectors"
    for theme in ("basics", "eps"):
        write_theme(directory, [golden(theme=theme)])
    write_manifest(directory)
    return directory


def ran(tmp_path, monkeypatch, directory, fail="pass", **changes):
    peer = replace(toy(tmp_path), runner="run_toy.py", **changes)
    (tmp_path / "run_toy.py").write_text(textwrap.dedent(RUNNER).replace("FAIL", fail).replace("TRUTH", str(directory)))
    monkeypatch.setattr(runs, "RUNNERS", tmp_path)
    return runs.run_route(peer, "lazy", "torch.SparseAdam", HERE, directory)


def test_a_route_is_judged(tmp_path, monkeypatch, two_themes):
    made = ran(tmp_path, monkeypatch, two_themes)
    assert [verdict.status for verdict in made.verdicts] == [Status.PASSED] * 2
    assert made.required == "tensor-faithful"


@pytest.mark.parametrize(("fail", "how"), FAILURES.items())
def test_a_runner_that_fails_midway_costs_only_the_cases_that_are_left(tmp_path, monkeypatch, two_themes, fail, how):
    made = ran(tmp_path, monkeypatch, two_themes, fail, timeout=2.0)
    assert [verdict.status for verdict in made.verdicts] == [Status.PASSED, Status.ERROR]
    assert made.verdicts[1].reason.endswith(f"the program {how}")


def test_a_runner_that_fails_at_once_is_a_failure(tmp_path, monkeypatch, two_themes):
    with pytest.raises(HarnessError, match="ended with exit status 5 and left no result"):
        ran(tmp_path, monkeypatch, two_themes, "pass\n    sys.exit(5)")


def test_a_runner_gets_its_own_variables_and_no_path_to_our_packages(tmp_path, monkeypatch, two_themes):
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    check = "assert os.environ['TOY'] == 'yes' and 'PYTHONPATH' not in os.environ"
    made = ran(tmp_path, monkeypatch, two_themes, check, prelude={"TOY": "yes"})
    assert [verdict.status for verdict in made.verdicts] == [Status.PASSED] * 2
    assert "TOY" not in import_module("os").environ


def test_the_words_of_the_runner_stand_for_a_case_without_a_result(tmp_path, monkeypatch, two_themes):
    text = '{"torch.SparseAdam/eps/two-steps": "no answer within 60 s"}'
    made = ran(tmp_path, monkeypatch, two_themes, f"(results / 'lost.json').write_text('''{text}'''); break")
    assert made.verdicts[1].reason == "crashed: no answer within 60 s"


def test_a_reason_is_the_same_on_every_machine():
    line = "crashed: /tmp/refimpl-x1y2/torch.Adam/eps.npz: <toy at 0x7f12ab> in /home/me/venv/lib/site-packages/toy/adam.py\nmore"
    assert runs._plain(line) == "crashed: torch.Adam/eps.npz: <toy at 0x...> in toy/adam.py"
    assert len(runs._plain("x" * 999)) == runs.REASON_LIMIT
