import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from refimpl import diff
from refimpl.__main__ import main as refimpl_main
from refimpl.case import Case, Group, Param, Step
from refimpl.dialects import dialect, dialects
from refimpl.diff._adapters import in_words
from refimpl.diff._comparison import Comparison, compared, to_json
from refimpl.diff._document import to_text
from refimpl.diff._measured import Measured, cases_of, measured, measured_cases
from refimpl.diff._page import conclusion, page
from refimpl.diff._parameters import side_by_side
from refimpl.diff._replay import Target
from refimpl.oracle import expectations

SOME = ("/duplicates/pair", "/counters/missing-in-turn", "/eps/eps-near-small", "/options/weight-decay")


def compare(a: str, b: str, *themes: str) -> Comparison:
    return compared(dialect(a), dialect(b), measured_cases(dialect(a), None, themes))


@pytest.fixture(scope="module")
def few() -> dict[str, list[Measured]]:
    """Dialect to a few of its cases, measured."""
    return {
        name: [
            measured(case, expectations(case))
            for case in cases_of(table, None, ("duplicates", "counters", "options"))
            if case.id.endswith(SOME)
        ]
        for name, table in dialects("full").items()
    }


TO_ALL = ("torch.SparseAdam", "torch.AdamW", "mindspore.LazyAdam")
FROM_ALL = ("torch.SparseAdam", "torch.Adam", "mindspore.LazyAdam")


def some_pairs() -> list[tuple[str, str]]:
    """Every dialect beside those that most people come from or go to, and beside the next one of the tables."""
    names = list(dialects("full"))
    pairs = ((*((a, name) for a in TO_ALL), *((name, b) for b in (*FROM_ALL, names[k - 1]))) for k, name in enumerate(names))
    return sorted({pair for some in pairs for pair in some})


def test_pairs_of_dialects_make_pages(few: dict[str, list[Measured]]) -> None:
    for number, (a, b) in enumerate(some_pairs()):
        some = few[a][number % max(len(few[a]), 1) :][:1]  # one case each: a search over more takes minutes for all of these pairs
        comparison = compared(dialect(a), dialect(b), some)
        assert comparison.recipe.agreeing >= comparison.recipe.before
        assert a in conclusion(comparison)
        assert b in conclusion(comparison)
        text = to_text(page(comparison)) if comparison.recipe.complete else page(comparison)
        assert f"Differences between {a} and {b}" in text
        assert set(json.loads(to_json(comparison))["cases"]) == {case.id for case in some}


def test_every_parameter_of_both_stands_in_exactly_one_row() -> None:
    for a in dialects("full").values():
        for b in dialects("full").values():
            rows = side_by_side(a, b)
            assert sorted(parameter.name for row in rows for parameter in row.a) == sorted(a.parameters)
            assert sorted(parameter.name for row in rows for parameter in row.b) == sorted(b.parameters)


def test_a_dialect_does_not_differ_from_itself(few: dict[str, list[Measured]]) -> None:
    for name, cases in few.items():
        comparison = compared(dialect(name), dialect(name), cases)
        assert comparison.differences == ()
        assert comparison.recipe.complete
        assert comparison.recipe.idle


def test_sparse_adam_without_gradients_of_a_parameter_needs_an_optimizer_per_parameter() -> None:
    comparison = compare("torch.SparseAdam", "mindspore.LazyAdam", "counters")
    assert [difference.stage for difference in comparison.differences] == ["counter"]
    assert comparison.recipe.preparations == ("drop-empty", "own", "rescale")  # its kernel fails at an empty gradient
    assert comparison.recipe.complete
    assert comparison.recipe.before < comparison.count


def test_a_counter_for_all_parameters_needs_empty_gradients_where_one_has_none() -> None:
    comparison = compare("tfa.LazyAdam", "torch.SparseAdam", "counters")
    assert comparison.recipe.preparations == ("fill",)
    assert comparison.recipe.complete


def test_the_default_target_needs_merged_rows_and_its_size_is_in_learning_rates() -> None:
    comparison = compare("torch.SparseAdam", "mindspore.LazyAdam.default-target", "duplicates")
    assert comparison.recipe.preparations == ("merge",)
    assert comparison.recipe.complete
    (merge,) = (size for size in comparison.sizes if size.difference.stage == "merge")
    assert merge.largest.rates > 1
    assert merge.largest.bounds > 1e3


def test_no_recipe_makes_summed_rows_out_of_a_sum_that_the_default_target_never_makes() -> None:
    comparison = compare("mindspore.LazyAdam.default-target", "torch.SparseAdam", "duplicates")
    assert not comparison.recipe.complete
    assert [difference.stage for difference in comparison.left()] == ["merge"]
    assert "cannot be reproduced" in conclusion(comparison)


def test_untouched_rows_are_what_keeps_dense_adam_from_lazy_adam() -> None:
    comparison = compare("torch.SparseAdam", "torch.Adam", "touched")
    assert "touch" in [difference.stage for difference in comparison.left()]
    assert not comparison.recipe.complete


def test_eps_is_rescaled_where_it_can_be_changed_between_steps() -> None:
    comparison = compare("mindspore.Adam", "torch.Adam", "eps")
    assert comparison.recipe.preparations == ("rescale",)
    assert comparison.recipe.complete
    assert "eps / sqrt(1 - beta2^s)" in " ".join(to_text(page(comparison)).split())
    fixed = compare("torch.Adam", "mindspore.Adam", "eps")
    assert not fixed.recipe.complete
    assert [difference.stage for difference in fixed.left()] == ["eps"]


def test_settings_that_the_other_lacks_are_carried_out_on_the_gradient() -> None:
    comparison = compare("mindspore.LazyAdam", "torch.SparseAdam", "options")
    assert {"decay", "unscale", "centralize"} <= set(comparison.recipe.preparations)
    stuck = {id for id, outcome in comparison.recipe.outcomes.items() if not outcome.agrees}
    assert stuck
    assert all("nesterov" in id for id in stuck)


def test_the_recipe_says_with_which_settings_a_preparation_is_meant() -> None:
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


def test_what_rounding_alone_may_do_grows_with_the_steps_and_shrinks_with_the_class() -> None:
    comparison = compare("torch.SparseAdam", "tfa.LazyAdam", "basics")
    short, long = comparison.roundings
    assert short.steps < long.steps
    assert 0 < short.loose < long.loose < 0.01
    assert short.tight < short.loose
    assert short.case in to_text(page(comparison))


def test_a_decay_by_hand_reaches_vectors_too() -> None:
    rng = np.random.default_rng(1)
    steps = tuple(Step({"w": rng.normal(size=5).astype(np.float32)}) for _ in range(3))
    groups = (Group(dialect("torch.AdamW").defaults()),)
    case = Case("torch.AdamW/recipe/vector", "", "torch.AdamW", (Param("w", np.ones(5, np.float32)),), groups, steps, (1, 2, 3))
    comparison = compared(dialect("torch.AdamW"), dialect("optax.adam"), [measured(case, expectations(case))])
    assert comparison.recipe.preparations == ("shrink",)
    assert comparison.recipe.complete


def test_a_switch_of_the_other_is_part_of_the_recipe() -> None:
    comparison = compare("torch.SparseAdam", "paddle.Adam", "touched")
    assert comparison.recipe.settings == {"lazy_mode": True}


def test_the_page_in_markdown_covers_and_corrects_the_one_that_the_project_starts_from() -> None:
    comparison = compare("torch.SparseAdam", "mindspore.LazyAdam.default-target", "duplicates", "counters")
    text = page(comparison)
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


def test_the_command_prints_a_page_and_writes_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diff, "measured_cases", lambda a, b, **options: measured_cases(a, b, ("duplicates",)))
    file = tmp_path / "found.json"
    assert refimpl_main(["diff", "torch.SparseAdam", "mindspore.LazyAdam", "--format", "md", "--json", str(file)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("# Differences between torch.SparseAdam and mindspore.LazyAdam")
    assert json.loads(file.read_text())["recipe"]["complete"] is True


def test_an_unknown_dialect_is_refused_with_names_that_are_near(capsys: pytest.CaptureFixture[str]) -> None:
    assert diff.main(["torch.SparseAdam", "torch.Adagrad"]) == 2
    assert "did you mean torch.Adamax or torch.Adam" in capsys.readouterr().err


def test_the_module_runs_as_a_program_and_shows_examples() -> None:
    ended = subprocess.run([sys.executable, "-m", "refimpl.diff", "--help"], capture_output=True, text=True)
    assert ended.returncode == 0
    assert "python -m refimpl.diff torch.SparseAdam mindspore.LazyAdam" in ended.stdout
