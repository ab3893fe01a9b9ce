"""tools/runners/common.py: what a runner reads is what was written, and whatever a case does, the others keep their results."""

import json
import subprocess
import sys
import textwrap
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from make_golden import golden, refused
from scipy.sparse import coo_array

from refimpl.backends import read_results
from refimpl.backends.outcome import End
from refimpl.case import ARRAYS, LAYOUTS, Step
from refimpl.gradients import RowGradient, is_element_gradient
from refimpl.vectors import roundtrip, write_inputs, write_manifest, write_theme

RUNNERS = Path(__file__).resolve().parent.parent / "tools" / "runners"

TOY = """
    import os, signal, sys, time
    sys.path.insert(0, {runners!r})
    import numpy as np
    from common import Rows, Unsupported, main

    class Run:
        def __init__(self, case):
            self.case, self.t = case, 0
            with open({pids!r}, "a") as file:
                file.write(f"{{case.slug}} {{os.getpid()}}\\n")
            self.tables = {{param.name: param.value for param in case.params}}
            if case.slug == "lacks":
                raise Unsupported("no such option")
            if "raises" in case.slug:
                raise ValueError("not\\nthis " + "x" * 1000)

        def step(self, step):
            self.t += 1
            print("a framework may print")
            for name, gradient in step.gradients.items():
                if gradient is not None:
                    self.tables[name][gradient.indices] -= gradient.values
            {{"hangs": lambda: time.sleep(600), "dies": lambda: os.kill(os.getpid(), signal.SIGSEGV), "exits": lambda: os._exit(3),
             "writes": lambda: step.gradients["table"].values.fill(9), "refuses-late": lambda: 1 / 0}}.get(self.case.slug, int)()

        def state(self):
            if self.case.slug == "mute":
                raise KeyError("state")
            moment = {{"exp_avg": np.zeros(1)}} if self.case.slug == "shifty" and self.t == 1 else {{}}
            return {{name: {{"param": table, **moment}} for name, table in self.tables.items()}}

    class Other(Run):
        dialects = ("mindspore.LazyAdam",)

    if "--worker" in sys.argv and "broken" in sys.argv:
        sys.exit("cannot be imported")
    ROUTES = {{"plain": Run, "other": Other, "broken": Run}}
    if __name__ == "__main__":
        main(ROUTES)
"""

SLUGS = ("first", "hangs", "after-hang", "dies", "exits", "writes", "raises", "lacks", "mute", "shifty", "last")


@pytest.fixture
def cases(monkeypatch):
    monkeypatch.syspath_prepend(str(RUNNERS))
    return import_module("common_cases")


@pytest.fixture(scope="module")
def goldens():
    wild = golden("wild", error="index-out-of-range")
    step = wild.case.steps[0]
    gradients = {**step.gradients, "table": replace(step.gradients["table"], indices=np.array([2, 99, 2]))}
    wild = replace(wild, case=replace(wild.case, steps=(Step(gradients, step.hyper),), record=()))
    late = replace(golden("refuses-late"), expected={})
    late = replace(late, case=replace(late.case, error="late", record=()))
    return [*(golden(slug) for slug in SLUGS), refused("refused-raises", lr=-1.0), late, wild, golden("final")]


@pytest.fixture(scope="module")
def directory(tmp_path_factory, goldens):
    made = tmp_path_factory.mktemp("vectors")
    write_theme(made, goldens)
    write_theme(made, [golden("one", theme="next")])
    write_manifest(made)
    return made


def run(folder, directory, *arguments):
    """Run the toy, and give the finished process."""
    program = folder / "run_toy.py"
    program.write_text(textwrap.dedent(TOY.format(runners=str(RUNNERS), pids=str(folder / "pids"))))
    command = [sys.executable, str(program), str(directory), str(folder / "results"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def ran(tmp_path_factory, directory, goldens):
    """The folder of one run over everything, and the outcomes by slug."""
    folder = tmp_path_factory.mktemp("ran")
    process = run(folder, directory, "--route", "plain", "--limit", "2")
    assert process.returncode == 0, process.stderr
    outcomes = read_results(folder / "results", [*goldens, golden("one", theme="next")])
    return folder, process.stderr, {outcome.case_id.split("/")[2]: outcome for outcome in outcomes}


def lost(ran):
    reasons = json.loads((ran[0] / "results" / "lost.json").read_text())
    return {id.split("/")[2]: reason for id, reason in reasons.items()}


@pytest.mark.parametrize(
    ("slug", "reason"),
    [
        ("hangs", "no answer within 2 s"),
        ("dies", "the worker was killed by SIGSEGV"),
        ("exits", "the worker ended with exit status 3"),
        ("writes", "step 1 changed the values of the gradient of 'table'"),
        ("mute", "state() raised KeyError: 'state'"),
        ("shifty", "an array is in the state at some recorded steps only"),
        ("refuses-late", "param of 'table' had changed when it raised ZeroDivisionError: division by zero"),
    ],
)
def test_a_case_without_a_result_says_why(ran, slug, reason):
    assert ran[2][slug].end is End.CRASHED
    assert lost(ran)[slug] == reason
    assert f"torch.SparseAdam/basics/{slug}: no result: {reason}" in ran[1]


def test_the_other_cases_keep_their_results(ran):
    assert {slug for slug, outcome in ran[2].items() if outcome.end is End.STATES} == {"first", "after-hang", "last", "final", "one"}
    assert len(lost(ran)) == 7


def test_states_are_those_after_the_recorded_steps(ran, goldens):
    case = goldens[0].case
    expected = case.params[1].value.copy()
    taken = ran[2]["first"].states["bias.b"]["param"]
    expected[1] -= case.steps[0].gradients["bias.b"].values[0]
    np.testing.assert_array_equal(taken[0], expected)
    assert taken.shape == (2, 5)
    assert (taken[1] != taken[0]).any()


def test_what_a_run_raises_is_kept_as_an_error_and_shortened(ran):
    assert ran[2]["raises"].end is End.RAISED
    assert ran[2]["raises"].message.startswith("ValueError: not\nthis xxx")
    assert len(ran[2]["raises"].message) == 500
    assert ran[2]["refused-raises"].end is End.RAISED
    assert ran[2]["wild"].message.startswith("IndexError")


def test_what_a_framework_lacks_is_unsupported(ran):
    assert (ran[2]["lacks"].end, ran[2]["lacks"].message) == (End.UNSUPPORTED, "no such option")


def test_after_a_row_number_outside_its_table_the_worker_is_replaced(ran):
    workers = dict(line.split() for line in (ran[0] / "pids").read_text().splitlines())
    assert workers["refused-raises"] == workers["wild"] != workers["final"]


def test_a_state_of_several_dtypes_is_unsupported(tmp_path):
    (tmp_path / "vectors").mkdir()
    write_inputs(tmp_path / "vectors", [with_a_maximum(golden("mixed"))])
    assert run(tmp_path, tmp_path / "vectors", "--route", "plain").returncode == 0
    (outcome,) = read_results(tmp_path / "results", [golden("mixed")])
    assert (outcome.end, outcome.message) == (End.UNSUPPORTED, "a state in another dtype than its parameter")


def test_a_late_refusal_that_leaves_a_changed_state_is_lost_even_if_nobody_says_that_it_is_expected(tmp_path):
    write_inputs(tmp_path / "vectors", [golden("refuses-late")])
    assert run(tmp_path, tmp_path / "vectors", "--route", "plain").returncode == 0
    assert "param of 'table' had changed when it raised ZeroDivisionError" in (tmp_path / "results" / "lost.json").read_text()


def test_every_file_is_whole(ran):
    names = {file.name for file in (ran[0] / "results").rglob("*") if file.is_file()}
    assert names == {"basics.npz", "next.npz", "lost.json"}


def test_cases_and_dialects_select(tmp_path, directory):
    process = run(tmp_path, directory, "--route", "other", "--dialect", "torch.SparseAdam", "--case", "*/next/*")
    assert process.returncode == 0
    assert [file.name for file in (tmp_path / "results").rglob("*.npz")] == ["next.npz"]


def test_cases_of_dialects_that_a_route_does_not_have_are_passed_over(tmp_path, directory):
    assert run(tmp_path, directory, "--route", "other").returncode == 0
    assert list((tmp_path / "results").iterdir()) == []


def test_a_runner_whose_worker_cannot_start_fails(tmp_path, directory):
    process = run(tmp_path, directory, "--route", "broken")
    assert process.returncode == 3
    assert process.stderr.count("cannot be imported") == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--route", "none"], "'none'"), ([], "--route"), (["--route", "plain", "--limit", "x"], "--limit")],
)
def test_bad_arguments_are_named(tmp_path, directory, arguments, message):
    process = run(tmp_path, directory, *arguments)
    assert process.returncode == 2
    assert message in process.stderr


def same(read, written):
    """Whether a gradient as a runner reads it is the one that was written."""
    if isinstance(written, RowGradient):
        return read.shape == written.shape and np.array_equal(read.indices, written.indices) and np.array_equal(read.values, written.values)
    if is_element_gradient(written):
        return np.array_equal(read.coords, np.stack(written.coords)) and np.array_equal(read.values, written.data)
    return read is None if written is None else np.array_equal(read, written)


def with_other_forms(made):
    """The golden with one more step: elements, a dense gradient, and a pair that changes."""
    elements = coo_array((np.ones(2, made.case.dtype), ([0, 3], [2, 1])), (4, 3))
    step = Step({"table": elements, "bias.b": np.ones(5, made.case.dtype)}, ({}, {"betas": (0.5, 0.75)}))
    return replace(made, case=replace(made.case, steps=(*made.case.steps, step)))


def with_a_maximum(made):
    """The golden with a maximum to start from, and its first moment in another dtype."""
    table, bias = made.case.params
    table = replace(table, max_exp_avg_sq=table.exp_avg_sq * 2, exp_avg=table.exp_avg.astype(np.float64), dtypes={"exp_avg": "float64"})
    return replace(made, case=replace(made.case, params=(table, bias)))


WRITTEN = [golden(dtype="bfloat16"), with_other_forms(golden()), with_other_forms(golden(dtype="float64")), with_a_maximum(golden())]


@pytest.mark.parametrize("made", WRITTEN)
def test_a_case_is_read_as_it_was_written(tmp_path, cases, made):
    written, dtype = roundtrip(replace(made, expected={})).case, made.case.dtype
    write_theme(tmp_path, [made])
    (read,) = cases.read_theme(tmp_path / "torch.SparseAdam" / "basics.yaml")
    assert (read.id, read.dtype, read.record, read.error) == (written.id, dtype, written.record, None)
    assert (read.dialect, read.theme, read.slug) == ("torch.SparseAdam", "basics", "two-steps")
    assert read.groups == tuple(dict(group.hyper) for group in written.groups)
    assert [step.hyper for step in read.steps] == [tuple(map(dict, step.hyper)) for step in written.steps]
    for one, other in zip(read.params, written.params):
        assert (one.name, one.group, one.step, one.dtype, one.dtypes) == (other.name, other.group, other.step, dtype, other.dtypes)
        for array in ("value", *ARRAYS[1:]):
            value, wanted = getattr(one, array), getattr(other, array)
            assert (value is None) == (wanted is None)
            assert value is None or np.array_equal(value, wanted.astype(value.dtype))
    for one, other in zip(read.steps, written.steps):
        assert one.gradients.keys() == other.gradients.keys()
        assert all(same(one.gradients[name], gradient) for name, gradient in other.gradients.items())


def test_no_answer_is_read(tmp_path, cases, monkeypatch):
    plain = golden()
    allowed = {
        name: {array: replace(one, allowed=np.full(one.value.shape, 3, np.uint8)) for array, one in arrays.items()}
        for name, arrays in plain.expected.items()
    }
    write_theme(tmp_path, [replace(plain, expected=allowed)])
    members = {}
    monkeypatch.setattr(cases, "_case", lambda entry, arrays: members.update(arrays))
    cases.read_theme(tmp_path / "torch.SparseAdam" / "basics.yaml")
    assert {name.split("/")[1].split(".")[0] for name in members} == {"param", "exp_avg", "exp_avg_sq", "grad"}


def test_another_format_is_refused(tmp_path, cases):
    write_theme(tmp_path, [golden()])
    file = tmp_path / "torch.SparseAdam" / "basics.yaml"
    file.write_text(file.read_text().replace("format: 2", "format: 1"))
    with pytest.raises(ValueError, match=r"basics\.yaml: format 1 is unknown, this runner reads format 2"):
        cases.read_theme(file)


def test_a_switch_counts_wherever_it_is_set(tmp_path, cases):
    plain = golden()
    groups = tuple(replace(group, hyper={**group.hyper, "maximize": False}) for group in plain.case.groups)
    late = (replace(plain.case.steps[0], hyper=({}, {"maximize": True})), *plain.case.steps[1:])
    write_theme(tmp_path, [replace(plain, case=replace(plain.case, groups=groups, steps=late))])
    (read,) = cases.read_theme(tmp_path / "torch.SparseAdam" / "basics.yaml")
    assert (read.sets(0, "maximize"), read.sets(1, "maximize"), read.sets(1, "amsgrad")) == (False, True, False)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_handed_out_shares_nothing_and_lies_as_the_case_says(tmp_path, cases, layout):
    write_theme(tmp_path, [golden(layout=layout)])
    (read,) = cases.read_theme(tmp_path / "torch.SparseAdam" / "basics.yaml")
    given = cases.handed_out(read)
    arrays = [(read.params[0].value, given.params[0].value), (read.params[0].exp_avg, given.params[0].exp_avg)]
    arrays.append((read.steps[0].gradients["table"].values, given.steps[0].gradients["table"].values))
    for kept, handed in arrays:
        assert np.array_equal(kept, handed)
        assert not np.shares_memory(kept, handed)
        flags = handed.flags
        assert (flags.c_contiguous, flags.f_contiguous, flags.writeable) == {
            "contiguous": (True, False, True),
            "strided": (False, False, True),
            "read-only": (True, False, False),
            "fortran": (False, True, True),
        }[layout]
