from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from refimpl.guide import _build as build
from refimpl.guide._chapter import Chapter, broken_links
from refimpl.guide._snippets import same_output

WHOLE = """# A chapter

Text with $m$ and a [link](#numbers).

## Numbers

```python run
m = [0.1, 0.19]
print(m[1])
```

```text output
0.19
```

<!-- compute
twice = 2 * m[1]
-->

It rises to 0.19<!--= m[1] -->, and `sum`<!--= sum.__name__ --> is a name.<!--? twice > m[1] --> Twice that is

0.4<!--= twice -->.

```math
m \\leftarrow \\beta_1 m + (1 - \\beta_1)\\, g
```

```python source refimpl/reference/forms.py
    Mean.WEIGHTED: lambda a, old, new, b, one_minus_b: old * b + new * one_minus_b,
```

| a | b |
|---|---|
| 1<!--= 1 --> | 2 |

<!-- figure: objective -->

Up and down, **twice**.

<!-- table: choices objective -->
"""


@pytest.fixture
def made(tmp_path: Path) -> Callable[[str], Any]:
    """Build a chapter of this text."""

    def make(text: str) -> Any:
        (tmp_path / "one.md").write_text(text, encoding="utf-8")
        return build.built(Chapter("one", text), tmp_path)

    return make


def failures(built: Any) -> list[str]:
    return [str(failure) for failure in built.failures]


def test_a_chapter_that_holds_becomes_html(made: Callable[[str], Any]) -> None:
    built = made(WHOLE)
    assert failures(built) == []
    assert built.chapter.title == "A chapter"
    assert built.sections == (("numbers", "Numbers"),)
    assert '<data value="0.19" title="computed: 0.19">0.19</data>' in built.body
    assert '<data value="0.38" title="computed: 0.38">0.4</data>' in built.body
    assert "refimpl/reference/forms.py, line" in built.body
    assert "<figcaption>Up and down, <strong>twice</strong>.</figcaption></figure>" in built.body
    assert 'aria-label="Up and down, twice."' in built.body
    assert "<math" in built.body
    assert "<!--" not in built.body
    ElementTree.fromstring(f"<body>{built.body.replace('&nbsp;', ' ')}</body>")  # well-formed, so nothing is left open


@pytest.mark.parametrize(
    ("right", "wrong", "line", "message"),
    [
        ("0.19<!--=", "0.18<!--=", 20, "the text says 0.18, and `m[1]` is 0.19"),
        ("0.4<!--=", "0.39<!--=", 22, "the text says 0.39, and `twice` is 0.38"),
        ("| 1<!--= 1", "| 1<!--= 2", 34, "the text says 1, and `2` is 2"),
        ("`sum`<!--=", "`max`<!--=", 20, "the text says max"),
        ("twice > m[1]", "twice < m[1]", 20, "the text claims that `twice < m[1]`, and it does not hold"),
        ("<!--= twice", "<!--= thrice", 22, "NameError: "),
        ("rises to 0.19<!--=", "rises <!--=", 20, "must stand right behind a number or code"),
        ("output\n0.19", "output\n0.2", 12, "the text shows '0.2\\n', and the snippet printed '0.19\\n'"),
        ("print(m[1])", "print(m[2])", 9, "the snippet raised IndexError"),
        ("m = [0.1, 0.19]", "m = [0.1, 0.19", 8, "the snippet raised SyntaxError"),
        ("twice = 2 * m[1]", "twice = 2 * n[1]", 17, "the snippet raised NameError: "),
        ("twice = 2", "print(1); twice = 2", 16, "what computes must not print"),
        ("old * b + new * one_minus_b,", "old * b + old * one_minus_b,", 28, "is not in refimpl/reference/forms.py"),
        ("```python source refimpl/reference/forms.py", "```python source refimpl/reference/none.py", 28, "there is no file"),
        ("(1 - \\beta_1)", "\\nothing", 24, "latex2mathml does not know"),
        ("figure: objective", "figure: nothing", 36, "no figure 'nothing'"),
        ("table: choices", "table: nothing", 40, "no table 'nothing'"),
        ("Up and down, **twice**.", "## Up", 38, "must be followed by its caption"),
        ("```python run", "```python", 7, "every snippet runs"),
        ("Text with", "<b>Text</b> with", 3, "HTML that is no claim"),
        ("Text with", "[this](refimpl/guide/_build.py)", 3, "the pages stand alone"),
        ("](#numbers)", "](other.md)", 3, "which is not there"),
    ],
)
def test_what_does_not_hold_is_named_with_its_line(made: Callable[[str], Any], right: str, wrong: str, line: int, message: str) -> None:
    assert WHOLE.count(right) == 1
    messages = failures(made(WHOLE.replace(right, wrong)))
    assert any(failure.startswith(f"one.md, line {line}: ") and message in failure for failure in messages), messages


def test_an_equation_needs_its_line_of_the_source_unless_it_is_only_a_step(made: Callable[[str], Any]) -> None:
    alone = "# One\n\n```math\nx = 1\n```\n\nText.\n"
    assert failures(made(alone)) == [
        "one.md, line 3: an equation without its line of the source: add a fence `python source FILE`, or say `math step`"
    ]
    assert failures(made(alone.replace("```math", "```math step"))) == []


def test_what_a_snippet_prints_must_be_shown(made: Callable[[str], Any]) -> None:
    (failure,) = failures(made("# One\n\n```python run\nprint(1)\n```\n\nText.\n"))
    assert "the snippet printed '1\\n'; show it" in failure


def test_an_error_that_the_text_expects_is_shown_as_it_is_raised(made: Callable[[str], Any]) -> None:
    text = "# One\n\n```python raises KeyError\n{}[\"a\"]\n```\n\n```text output\nKeyError: 'a'\n```\n"
    assert failures(made(text)) == []
    assert "not LookupError" in failures(made(text.replace("raises KeyError", "raises LookupError")))[0]


def test_a_claim_that_fails_hides_no_other_but_a_snippet_does(made: Callable[[str], Any]) -> None:
    text = "# One\n\nThis is 1<!--= 2 --> and 3<!--= 4 -->.\n\n```python run\n1 / 0\n```\n\nAnd 5<!--= 6 -->.\n"
    assert [failure.split(":")[0] for failure in failures(made(text))] == ["one.md, line 3", "one.md, line 3", "one.md, line 6"]


def test_links_between_chapters_and_to_sections_must_lead_somewhere(made: Callable[[str], Any], tmp_path: Path) -> None:
    other = Chapter("two", "# Two\n\n## A section\n")
    (tmp_path / "two.md").write_text(other.text)
    built = made("# One\n\n[good](two.md#a-section) [bad](two.md#none) [own](#missing)\n"), build.built(other, tmp_path)
    assert 'href="two.html#a-section"' in built[0].body
    assert [str(link) for link in broken_links(built)] == [
        "one.md, line 3: two.md has no section #none",
        "one.md, line 3: one.md has no section #missing",
    ]


def test_a_chapter_that_is_left_out_says_so(tmp_path: Path) -> None:
    built = build.left_out(Chapter("one", "# Torches\n", ("torch",)), ("torch",))
    assert built.left_out
    assert "built without torch" in built.body


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("a\nb\n", "a  \nb\n\n", True),
        ("a\n...\nd\n", "a\nb\nc\nd\n", True),
        ("a\n...\n", "a\n", True),
        ("2 passed in ...\n", "2 passed in 0.31s\n", True),
        ("a.c\n", "abc\n", False),
        ("a\n", "a\nb\n", False),
        ("a\n...\nd\n", "b\nd\n", False),
    ],
)
def test_output_is_compared_line_by_line_and_dots_stand_for_what_is_left_out(shown: str, printed: str, same: bool) -> None:
    assert same_output(shown, printed) is same
