import io
from collections.abc import Iterator

import pytest

from refimpl.common.progress import watched


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_items_come_through_unchanged_on_a_terminal_and_elsewhere() -> None:
    for stream in (Terminal(), io.StringIO()):
        assert list(watched(iter("abc"), 3, stream)) == ["a", "b", "c"]


def test_a_terminal_gets_a_bar() -> None:
    stream = Terminal()
    list(watched("abc", 3, stream))
    assert "3/3" in stream.getvalue()


def test_elsewhere_a_line_is_printed_now_and_then() -> None:
    stream = io.StringIO()
    ticks = iter(range(100))
    list(watched(range(10), 10, stream, seconds=3, clock=lambda: float(next(ticks))))
    assert stream.getvalue().splitlines()[0] == "3 of 10 cases"


def test_without_rich_a_terminal_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "rich.progress", None)
    stream = Terminal()
    list(watched("abc", 3, stream, seconds=0))
    assert stream.getvalue().splitlines() == ["1 of 3 cases", "2 of 3 cases", "3 of 3 cases"]


def test_items_are_not_fetched_ahead() -> None:
    fetched = []

    def items() -> Iterator[int]:
        for number in range(3):
            fetched.append(number)
            yield number

    next(iter(watched(items(), 3, io.StringIO())))
    assert fetched == [0]
