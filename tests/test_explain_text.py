from refimpl.case import Case, Golden
from refimpl.explain._api import against, explain
from refimpl.explain._selection import DEFAULT, Numbers, case_of
from refimpl.explain._text import MANY, beside, to_text

SCREEN = (40, 100)
"""Lines and columns of a terminal."""


def case(core: dict[str, list[Golden]], id: str = DEFAULT) -> Case:
    return next(golden.case for golden in core[id.split("/")[0]] if golden.case.id == id)


def side_by_side(core: dict[str, list[Golden]], name: str, step: int | None = None) -> str:
    mine = explain(case(core), step=step)
    return beside(mine, against(case(core), mine, name), "tensor-faithful")


def test_the_default_case_fits_one_screen(core: dict[str, list[Golden]]) -> None:
    lines = to_text(explain(case(core)), "tensor-faithful", "The vectors hold the same.").splitlines()
    assert len(lines) <= SCREEN[0]
    assert max(map(len, lines)) <= SCREEN[1]


def test_a_line_gives_formula_numbers_value_exact_value_and_bound() -> None:
    text = to_text(explain(case_of(Numbers(["1"], lr=0.1))), "tensor-faithful")
    assert (
        "m = b1*m + (1 - b1)*g = 0.9*0 + (1 - 0.9)*1\n        0.1              0.099999999999999977796     3.1e-08   first moment\n" in text
    )
    assert "with lr = 0.1, eps = 1e-08, b1 = 0.9, b2 = 0.999" in text


def test_no_line_is_wider_than_the_page(core: dict[str, list[Golden]]) -> None:
    for golden in core["mindspore.Adam"][::7]:
        if golden.case.params and golden.case.params[0].value.size and len(golden.case.steps) < 50:
            assert max(map(len, to_text(explain(golden.case), "tensor-approx").splitlines())) <= SCREEN[1], golden.case.id


def test_of_many_occurrences_the_first_and_the_last_are_shown() -> None:
    many_occurrences = case_of(Numbers([",".join(["1"] * (MANY + 3))], dialect="mindspore.LazyAdam.default-target"))
    text = to_text(explain(many_occurrences), "tensor-faithful")
    assert "m[1] = " in text
    assert "m[2] = " not in text
    assert f"m[{MANY + 2}] = " in text
    assert f"... {MANY} more like this" in text


def test_an_untouched_row_is_printed_with_its_state() -> None:
    text = to_text(explain(case_of(Numbers(["1", "empty"], dialect="torch.SparseAdam")), step=2), "tensor-faithful")
    assert text.endswith("So p, m and v are what they were.\n")


def test_behind_an_infinity_no_line_has_a_bound_and_the_end_says_what_is_allowed(core: dict[str, list[Golden]]) -> None:
    text = to_text(explain(case(core, "torch.SparseAdam/ranges/square-overflows"), step=3, row=4, col=0), "tensor-faithful")
    lines = text.splitlines()
    after = lines[next(k for k, line in enumerate(lines) if line.startswith("p = ")) + 1]
    assert after.split()[2] == "inf"
    said = " ".join(text.split())
    assert "v = nan or +inf." in said
    assert "within 0.037 or nan; v = " in said
    assert "; m = " not in said  # the first moment stays in the range of the format


def test_the_largest_v_that_leaves_the_range_is_named_at_the_end() -> None:
    text = to_text(explain(case_of(Numbers(["1e30"], settings=["amsgrad=true"]))), "tensor-faithful")
    assert "; v_max = " in " ".join(text.split())


def test_two_that_agree_are_reported_as_the_same(core: dict[str, list[Golden]]) -> None:
    text = side_by_side(core, "mindspore.LazyAdam")
    assert text.endswith("They are the same, line by line.\n")
    assert ">" not in text


def test_the_first_line_at_which_two_differ_is_marked_once(core: dict[str, list[Golden]]) -> None:
    text = side_by_side(core, "eps-inside-root", step=1)
    (marked,) = [line for line in text.splitlines() if line.startswith(">")]
    assert marked.split()[1] == "change"
    assert "They part at 'change' (marked >)" in text
    assert "  m: the same" in text


def test_an_earlier_step_at_which_two_first_differ_is_printed(core: dict[str, list[Golden]]) -> None:
    assert "They parted before, at step 1: --step 1 shows where." in side_by_side(core, "eps-inside-root", step=2)


def test_a_dialect_that_refuses_stands_beside_one_that_does_not(core: dict[str, list[Golden]]) -> None:
    text = side_by_side(core, "torch.Adam")
    assert "takes it" in text
    assert "torch.Adam refuses this at step 1: Adam does not support sparse gradients" in " ".join(text.split())
