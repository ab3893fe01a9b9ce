import re
from html import escape

from refimpl.cases.coverage import table as requirements
from refimpl.dialects import deviations, dialects
from refimpl.guide._tables import choices, features, known_deviations, parameters, sizes, sources, tolerances
from refimpl.guide.suites import audits


def row(table: str, choice: str) -> list[str]:
    """The cells of the row of a choice, without tags."""
    (row_html,) = [row_html for row_html in re.findall(r"<tr>(.*?)</tr>", table) if f">{choice}</td>" in row_html]
    return [re.sub("<.*?>", "", cell) for cell in re.findall(r"<td.*?>(.*?)</td>", row_html)]


def test_an_alternative_is_listed_with_its_dialects_and_its_deviation() -> None:
    _, who, reported = row(choices("merge"), "each from the old state, updates added, last moments win")
    assert who == "mindspore.LazyAdam.default-target"
    assert reported == "duplicates-from-old-state"


def test_an_option_is_listed_with_the_alternative_that_it_picks() -> None:
    assert "mindspore.LazyAdam with use_nesterov" in row(choices("direction"), "b1 m + (1-b1) g")[1]


def test_an_option_that_is_on_by_default_is_listed_where_it_is_off() -> None:
    assert "mxnet.Adam without lazy_update" in row(choices("touch"), "all rows, as if the gradient were dense")[1]


def test_a_dialect_of_dense_gradients_is_not_listed_for_alternatives_of_rows() -> None:
    assert "torch.Adam" not in choices("merge")


def test_every_dialect_and_every_deviation_is_listed() -> None:
    assert all(f">{name}</code>" in sources() for name in dialects("full"))
    assert all(f">{id}</code>" in known_deviations() for id in deviations())


def test_parameters_of_one_role_are_in_one_line() -> None:
    assert row(parameters("torch.SparseAdam", "mindspore.LazyAdam"), "<code>beta1</code>") == [
        "beta1",
        "betas = 0.9, accepted: [0, 1)",
        "beta1 = 0.9, accepted: (0, 1)",
    ]


def test_what_the_vectors_must_exercise_is_shown_with_reasons() -> None:
    assert all(f">{name}</code>" in features() for name in requirements()["features"])
    meaning, without = row(features(), "<code>nesterov</code>")[1:3]
    assert meaning == "a look-ahead"
    assert without == ", ".join(name for name in dialects() if name.startswith("torch."))
    assert "a parameter has one dtype" in row(features(), "<code>float32</code>")[3]
    assert all(measure in sizes() for measure in requirements()["sizes"])
    assert "1,023, 1,024, 1,025" in sizes()


def test_the_rules_of_tools_stand_with_what_they_let_pass_and_refuse() -> None:
    made = tolerances()
    for name, audit in audits().items():
        what, passing, somewhere, refused = row(made, f"<code>{name}</code><br>{escape(audit.rule.about)}")[1:5]
        assert what.startswith(escape(audit.rule.words("float32")))
        assert passing == f"{len(audit.everywhere)} of {len(audit.mistakes)}"
        assert somewhere == str(len(audit.somewhere))
        assert refused.startswith("none" if not audit.too_tight else f"{len(audit.refused)} of {audit.cases}")
