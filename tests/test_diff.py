import json
import subprocess
import sys

import pytest

from refimpl import diff
from refimpl.__main__ import main as refimpl_main
from refimpl.dialects import dialect, dialects
from refimpl.diff._adapters import in_words
from refimpl.diff._comparison import compared, to_json
from refimpl.diff._document import to_markdown, to_text
from refimpl.diff._measured import cases_of, measured, measured_cases
from refimpl.diff._page import conclusion, page
from refimpl.diff._parameters import side_by_side
from refimpl.diff._recipes import agrees
from refimpl.diff._replay import Target
from refimpl.oracle import expectations

SOME = ("/duplicates/pair", "/counters/missing-in-turn", "/eps/eps-near-small", "/options/weight-decay")


def of(a, b, *themes):
    return compared(dialect(a), dialect(b), measured_cases(dialect(a), None, themes))


@pytest.fixture(scope="module")
def few():
    """Dialect to a few of its cases, measured."""
    return {
        name: [
            measured(case, expectations(case))
            for case in cases_of(one, None, ("duplicates", "counters", "options"))
            if case.id.endswith(SOME)
        ]
        for name, one in dialects("full").items()
    }


def test_every_ordered_pair_of_dialects_makes_a_page(few):
    every = dialects("full")
    for a in every.values():
        for b in every.values():
            found = compared(a, b, few[a.name])
            assert found.recipe.agreeing >= found.recipe.before
            assert a.name in conclusion(found)
            assert b.name in conclusion(found)
            text = to_text(page(found)) if found.recipe.complete else to_markdown(page(found))
            assert f"Differences between {a.name} and {b.name}" in text
            assert set(json.loads(to_json(found))["cases"]) == {one.id for one in few[a.name]}


def test_every_parameter_of_both_stands_in_exactly_one_row():
    for a in dialects("full").values():
        for b in dialects("full").values():
            rows = side_by_side(a, b)
            assert sorted(one.name for row in rows for one in row.a) == sorted(a.parameters)
            assert sorted(one.name for row in rows for one in row.b) == sorted(b.parameters)


def test_a_dialect_does_not_differ_from_itself(few):
    for name, cases in few.items():
        found = compared(dialect(name), dialect(name), cases)
        assert found.differences == ()
        assert found.recipe.complete
        assert found.recipe.idle


def test_sparse_adam_without_gradients_of_a_parameter_needs_an_optimizer_per_parameter():
    found = of("torch.SparseAdam", "mindspore.LazyAdam", "counters")
    assert [one.stage for one in found.differences] == ["counter"]
    assert found.recipe.preparations == ("drop-empty", "own", "rescale")  # its kernel fails at an empty gradient
    assert found.recipe.complete
    assert found.recipe.before < found.count


def test_a_counter_for_all_parameters_needs_empty_gradients_where_one_has_none():
    found = of("tfa.LazyAdam", "torch.SparseAdam", "counters")
    assert found.recipe.preparations == ("fill",)
    assert found.recipe.complete


def test_the_default_target_needs_merged_rows_and_its_size_is_in_learning_rates():
    found = of("torch.SparseAdam", "mindspore.LazyAdam.default-target", "duplicates")
    assert found.recipe.preparations == ("merge",)
    assert found.recipe.complete
    (merge,) = (size for size in found.sizes if size.difference.stage == "merge")
    assert merge.largest.rates > 1
    assert merge.largest.bounds > 1e3


def test_no_recipe_makes_summed_rows_out_of_a_sum_that_the_default_target_never_makes():
    found = of("mindspore.LazyAdam.default-target", "torch.SparseAdam", "duplicates")
    assert not found.recipe.complete
    assert [size.difference.stage for size in found.left()] == ["merge"]
    assert "cannot be reproduced" in conclusion(found)


def test_untouched_rows_are_what_keeps_dense_adam_from_lazy_adam():
    found = of("torch.SparseAdam", "torch.Adam", "touched")
    assert "touch" in [size.difference.stage for size in found.left()]
    assert not found.recipe.complete


def test_eps_is_rescaled_where_it_can_be_changed_between_steps():
    found = of("mindspore.Adam", "torch.Adam", "eps")
    assert found.recipe.preparations == ("rescale",)
    assert found.recipe.complete
    assert "eps / sqrt(1 - beta2^s)" in " ".join(to_text(page(found)).split())
    fixed = of("torch.Adam", "mindspore.Adam", "eps")
    assert not fixed.recipe.complete
    assert [size.difference.stage for size in fixed.left()] == ["eps"]


def test_settings_that_the_other_lacks_are_carried_out_on_the_gradient():
    found = of("mindspore.LazyAdam", "torch.SparseAdam", "options")
    assert {"decay", "unscale", "centralize"} <= set(found.recipe.preparations)
    stuck = {id for id, one in found.recipe.found.items() if not agrees(one)}
    assert stuck
    assert all("nesterov" in id for id in stuck)


def test_the_recipe_says_with_which_settings_a_preparation_is_meant():
    sparse = Target(dialect("torch.SparseAdam"), {})
    dense = Target(dialect("torch.Adam"), {})
    assert in_words("shrink", dialect("torch.Adam"), sparse).startswith("with decoupled_weight_decay=True: ")
    assert in_words("decay", dialect("torch.Adam"), sparse).startswith("with decoupled_weight_decay=False: ")
    assert in_words("every-row", dialect("mxnet.Adam"), sparse).startswith("with lazy_update=False ")
    assert in_words("every-row", dialect("mindspore.LazyAdam"), sparse) == "give a dense gradient as one by rows that stores every row"
    assert "moves those rows too" in in_words("densify", dialect("torch.SparseAdam"), dense)
    assert "moves those rows too" not in in_words("densify", dialect("mindspore.Adam"), dense)
    assert "weight_decay * lr / (the lr that is set)" in in_words("rescale", dialect("keras.Adam"), dense)
    assert "weight_decay" not in in_words("rescale", dialect("tfa.LazyAdam"), dense)


def test_what_rounding_alone_may_do_grows_with_the_steps_and_shrinks_with_the_class():
    found = of("torch.SparseAdam", "tfa.LazyAdam", "basics")
    short, long = found.roundings
    assert short.steps < long.steps
    assert 0 < short.loose < long.loose < 0.01
    assert short.tight < short.loose
    assert short.case in to_text(page(found))


def test_a_switch_of_the_other_is_part_of_the_recipe():
    found = of("torch.SparseAdam", "paddle.Adam", "touched")
    assert found.recipe.settings == {"lazy_mode": True}


def test_the_page_in_markdown_covers_and_corrects_the_one_that_the_project_starts_from():
    found = of("torch.SparseAdam", "mindspore.LazyAdam.default-target", "duplicates", "counters")
    text = to_markdown(page(found))
    for name in (
        "params",
        "learning_rate",
        "beta1",
        "beta2",
        "eps",
        "use_locking",
        "use_nesterov",
        "weight_decay",
        "loss_scale",
        "maximize",
    ):
        assert f"{name}" in text
    for needed in (
        "| 9 |",
        "torch.nn.Linear(2, 3)",
        "SparseAdam does not support dense gradients",
        "mindspore.nn.LazyAdam(",
        "3.065343e-05",
        "3.065324e-05",  # what MindSpore prints: its scalars are float32
    ):
        assert needed in text
    claim = next(line for line in text.splitlines() if line.startswith("| LazyAdam is consistent"))
    assert "| no |" in claim
    assert "lr" in claim
    assert text.count("```") % 2 == 0


def test_the_command_prints_a_page_and_writes_json(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(diff, "measured_cases", lambda a, b, **options: measured_cases(a, b, ("duplicates",)))
    file = tmp_path / "found.json"
    assert refimpl_main(["diff", "torch.SparseAdam", "mindspore.LazyAdam", "--format", "md", "--json", str(file)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("# Differences between torch.SparseAdam and mindspore.LazyAdam")
    assert json.loads(file.read_text())["recipe"]["complete"] is True


def test_an_unknown_dialect_is_refused_with_names_that_are_near(capsys):
    assert diff.main(["torch.SparseAdam", "torch.Adamax"]) == 2
    assert "did you mean torch.Adam" in capsys.readouterr().err


def test_the_module_runs_as_a_program_and_shows_examples():
    ended = subprocess.run([sys.executable, "-m", "refimpl.diff", "--help"], capture_output=True, text=True)
    assert ended.returncode == 0
    assert "python -m refimpl.diff torch.SparseAdam mindspore.LazyAdam" in ended.stdout
