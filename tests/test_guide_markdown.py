import pytest

from refimpl.guide._chapter import Wrong
from refimpl.guide._markdown import mathml, parser, slug


def inline(text: str) -> list[tuple[str, str]]:
    return [(token.type, token.content) for token in parser().parse(text)[1].children or []]


def test_an_equation_in_the_text_is_a_token_of_its_own() -> None:
    assert inline("so $m_1 = 2$ holds") == [("text", "so "), ("math_inline", "m_1 = 2"), ("text", " holds")]


@pytest.mark.parametrize("text", ["a $5 and a $6", "$ x $", "`$x$`", r"\$x\$"])
def test_a_dollar_that_opens_no_equation_stays(text: str) -> None:
    assert not [kind for kind, _ in inline(text) if kind == "math_inline"]


def test_an_equation_becomes_mathml() -> None:
    assert mathml(r"\frac{m}{1 - \beta_1^t}").startswith('<math xmlns="http://www.w3.org/1998/Math/MathML" display="inline">')


@pytest.mark.parametrize("latex", [r"\left( x", r"\begin{aligned} a &= b \end{aligned}", r"\nosuchthing{x}"])
def test_what_cannot_be_shown_is_refused(latex: str) -> None:
    with pytest.raises(Wrong, match=r"equation|does not know"):
        mathml(latex)


def test_anchors_are_those_of_code_hosts() -> None:
    assert slug("What it costs in float32") == "what-it-costs-in-float32"
    assert slug("Rows that occur twice, or `more`") == "rows-that-occur-twice-or-more"
