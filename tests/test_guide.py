"""The guide: its text holds, and a text that does not is refused with the place and both numbers."""

import re

import pytest

pytest.importorskip("latex2mathml")
pytest.importorskip("matplotlib")

from refimpl import guide

RIGHT = """# A chapter

<!-- compute
m = [0.1 * 0.9**k for k in range(3)]
-->

After three steps there is 0.081<!--= m[2] --> left, which is less than before<!--? m[2] < m[1] -->.

```python run
print(2 + 2)
```

```text output
4
```

```math
a = b
```

```python source refimpl/reference/update.py
    m = first_moment(a, old.m, g, picks, s, forms)
```
"""


@pytest.fixture
def build(tmp_path, capsys):
    """Build a text of one chapter: the exit code, what was printed, and the pages that were written."""

    def built(chapter):
        (tmp_path / "text").mkdir()
        (tmp_path / "text" / "README.md").write_text("# Contents\n\n1. [A chapter](01-a.md)\n", encoding="utf-8")
        (tmp_path / "text" / "01-a.md").write_text(chapter, encoding="utf-8")
        code = guide.main(["--text", str(tmp_path / "text"), "--out", str(tmp_path / "out"), "--jobs", "1"])
        pages = {file.name: file.read_text(encoding="utf-8") for file in (tmp_path / "out").glob("*")}
        return code, capsys.readouterr().out, pages

    return built


def test_a_text_that_holds_becomes_pages_that_ask_for_nothing(build):
    code, out, pages = build(RIGHT)
    assert (code, out) == (0, "")
    assert set(pages) == {"index.html", "01-a.html"}
    assert "<math" in pages["01-a.html"]
    assert "0.081" in pages["01-a.html"]
    assert not re.search(r'(?:src|href)="https?:', pages["01-a.html"])


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("0.081<!--=", "0.082<!--=", "0.082"),
        ("m[2] < m[1]", "m[2] > m[1]", "m[2] > m[1]"),
        ("print(2 + 2)", "print(1 / 0)", "ZeroDivisionError"),
        ("    m = first_moment(a, old.m", "    m = no_such_line(a, old.m", "no_such_line"),
        ("reference/update.py", "reference/nowhere.py", "nowhere.py"),
    ],
)
def test_what_does_not_hold_fails_the_build_with_its_place_and_nothing_is_written(build, right, wrong, said):
    assert RIGHT.count(right) == 1
    code, out, pages = build(RIGHT.replace(right, wrong))
    assert code == 1
    assert re.search(r"01-a\.md, line \d+", out)
    assert said in out
    assert pages == {}


def test_a_page_that_is_linked_and_not_there_is_told(build):
    code, out, _ = build(RIGHT + "\nSee [more](02-b.md).\n")
    assert code == 1
    assert "02-b.md" in out


def test_no_place_for_the_pages_is_a_usage_error(capsys):
    with pytest.raises(SystemExit) as refused:
        guide.main([])
    assert refused.value.code == 2
    assert "--out DIR" in capsys.readouterr().err
