"""The short page: the box that it opens with, its programs run with the real torch, and what it keeps of the whole page."""

import re
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from test_diff_corrections import case_of

from refimpl.dialects import dialect, dialects
from refimpl.diff import FORMATS, main
from refimpl.diff._change import change
from refimpl.diff._comparison import Comparison, compared
from refimpl.diff._document import to_text
from refimpl.diff._html import to_html
from refimpl.diff._measured import measured_cases
from refimpl.diff._page import page, short_page

SPARSE, LAZY, DEFAULT = "torch.SparseAdam", "mindspore.LazyAdam", "mindspore.LazyAdam.default-target"
COLUMNS, LINES = 100, 24
"""A screen."""

DENSE = np.full((4, 2), 0.5, np.float32)


def beside(a: str, b: str, *themes: str) -> Comparison:
    cases = measured_cases(dialect(a), None, themes) if themes else [case_of(dialect(a), [DENSE])]
    return compared(dialect(a), dialect(b), cases)


@pytest.fixture(scope="module")
def seed_pair() -> Comparison:
    """The pair that this project started from."""
    return beside(SPARSE, DEFAULT, "duplicates")


def box(comparison: Comparison) -> list[str]:
    """The box as a terminal shows it, its heading too."""
    return (
        "Change in your code" + to_text(short_page(comparison)).partition("Change in your code")[2].partition("\n\nWhat differs\n")[0]
    ).split("\n")


def accepting_dense() -> list[str]:
    return [name for name, table in dialects("full").items() if "dense" in table.gradients]


def test_the_box_fits_a_screen_for_every_pair_of_neighbours_in_the_tables() -> None:
    names = accepting_dense()
    for a, b in [*pairwise(names), *((name, LAZY) for name in names), *(("torch.AdamW", name) for name in dialects("full"))]:
        lines = box(beside(a, b))
        assert len(lines) <= LINES, (a, b)
        assert max(map(len, lines)) <= COLUMNS, (a, b)


def test_after_sets_what_is_not_a_default_of_the_other_and_says_so() -> None:
    made = change(beside("torch.AdamW", "keras.AdamW"))
    assert made.before.endswith("torch.optim.AdamW(model.parameters(), lr=0.001)")
    assert made.after.endswith("keras.optimizers.AdamW(learning_rate=0.001, epsilon=1e-08, weight_decay=0.01)")
    assert "`eps=1e-08` against `epsilon=1e-07`" in made.defaults
    assert change(beside("torch.Adam", "torch.RAdam")).defaults == "none."
    assert "`weight_decay=0.01`, which keras.legacy.Adam has not" in change(beside("keras.legacy.Adam", "torch.AdamW")).defaults


@pytest.mark.parametrize("b", [name for name in accepting_dense() if name.startswith("torch.")])
@pytest.mark.parametrize("a", ["keras.Adam", "torch.AdamW", "paddle.Adam"])
def test_the_program_after_makes_the_real_optimizer_with_the_settings_of_a(a: str, b: str) -> None:
    torch = pytest.importorskip("torch")
    names: dict[str, Any] = {"model": torch.nn.Linear(2, 3)}
    exec(compile(change(beside(a, b)).after, "after", "exec"), names)
    optimizer = names["optimizer"]
    assert type(optimizer) is getattr(torch.optim, dialect(b).class_name)
    wanted = dialect(a).resolve(dialect(a).defaults())[0]
    group = optimizer.param_groups[0]
    assert (group["lr"], group["betas"], group["eps"]) == (wanted.lr, (wanted.beta1, wanted.beta2), wanted.eps)
    assert group["weight_decay"] == wanted.weight_decay


@pytest.mark.parametrize("name", dialects("full"))
def test_programs_are_python(name: str) -> None:
    made = change(beside("torch.AdamW", name))
    compile(f"{made.before}\n{made.after}\n", "box", "exec")
    if dialect(name).usage.constructor:
        assert "optimizer = " in made.after
        assert f"{dialect(name).class_name}(" in made.after or name == "sklearn.Adam"  # MLPClassifier makes it


def test_the_pitfall_of_lazy_adam_is_its_target() -> None:
    made = change(beside("torch.Adam", LAZY))
    assert 'optimizer.target = "CPU"' in made.after
    assert "does not sum repeated rows" in made.trap
    assert "optimizer.target" not in change(beside("torch.Adam", DEFAULT)).after


def test_without_a_pitfall_the_stage_that_differs_most_is_named() -> None:
    trap = change(beside(SPARSE, "keras.Adam", "touched")).trap
    assert trap.startswith("which rows a sparse gradient updates: ")
    assert f" bounds in {SPARSE}/touched/" in trap


def test_the_state_is_carried_over_by_convert_or_not_and_why() -> None:
    assert '`refimpl.convert(state, "torch.Adam", "paddle.Adam")`' in change(beside("torch.Adam", "paddle.Adam")).state
    assert "beta1_pow_acc_0 (beta1^(t+1))" in change(beside("torch.Adam", "paddle.Adam")).state
    assert "cannot be carried over" in change(beside("torch.Adam", "torch.Adamax")).state


def test_the_short_page_keeps_the_stages_the_recipe_and_the_vectors_with_their_numbers(seed_pair: Comparison) -> None:
    short, whole = short_page(seed_pair), page(seed_pair)
    (merge,) = (size for size in seed_pair.sizes if size.difference.stage == "merge")
    assert merge.largest
    line = next(line for line in short.splitlines() if line.startswith("- repeated rows: "))
    assert f"{merge.largest.rates:.3g} lr" in line
    assert str(merge.case) in line
    heading = f"## How to make {DEFAULT} reproduce {SPARSE}"
    recipe = short.partition(heading)[2].partition("\n## ")[0]
    assert "merge repeated rows before the step: sum" in recipe
    assert recipe.strip() in whole
    assert len(to_text(short)) < len(to_text(whole)) / 3


def test_the_short_page_counts_the_corrections_that_the_whole_page_holds(seed_pair: Comparison) -> None:
    short, whole = short_page(seed_pair), page(seed_pair)
    claims = re.findall(
        r"^\| [^|]+ \| ([^|]+) \|", whole.partition("## What MindSpore's page")[2].partition("\n\nIts examples")[0], re.MULTILINE
    )
    verdicts = [verdict for verdict in claims if verdict not in ("true?", "---")]
    assert f"makes {len(verdicts)} claims" in short
    for verdict in set(verdicts):
        assert f'{verdicts.count(verdict)} "{verdict}"' in short
    assert "MindSpore's page" not in short_page(beside("torch.Adam", "keras.Adam"))


def test_every_line_of_the_short_page_but_its_counts_is_in_the_whole_page(seed_pair: Comparison) -> None:
    whole = page(seed_pair)
    for part in (change(seed_pair).before, change(seed_pair).after, change(seed_pair).trap, change(seed_pair).state):
        assert part in whole


def test_the_page_in_html_holds_what_the_one_in_markdown_does(seed_pair: Comparison) -> None:
    document = to_html(page(seed_pair))
    assert document.startswith("<!doctype html>")
    assert f"<title>Differences between {SPARSE} and {DEFAULT}</title>" in document
    assert document.count("<pre") == page(seed_pair).count("```python")
    assert document.count("<h2>") == page(seed_pair).count("\n## ")
    assert "<code>learning_rate</code>" in document
    assert "`" not in re.sub(r"<pre.*?</pre>|<style>.*?</style>", "", document, flags=re.DOTALL)
    assert "learning_rate &lt;- " in re.sub(r"</?code>", "", document)


@pytest.mark.parametrize("format", FORMATS)
def test_the_command_prints_the_short_page_unless_it_is_asked_for_the_whole(
    format: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("refimpl.diff.measured_cases", lambda a, b, **options: measured_cases(a, b, ("eps",)))
    assert main(["torch.AdamW", "keras.AdamW", "--format", format]) == 0
    short = capsys.readouterr().out
    assert main(["torch.AdamW", "keras.AdamW", "--format", format, "--full"]) == 0
    whole = capsys.readouterr().out
    assert "Change in your code" in short
    assert "Change in your code" in whole
    assert "Sources" not in short
    assert "Sources" in whole
