"""`guide --serve`: the pages over HTTP, on this machine alone."""

from __future__ import annotations

import socket
import threading
import urllib.request
import webbrowser
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from refimpl import guide
from refimpl.guide import _serving


@pytest.fixture
def text(tmp_path: Path) -> Path:
    directory = tmp_path / "text"
    directory.mkdir()
    (directory / "README.md").write_text("# Index\n\nTwo is 2<!--= 1 + 1 -->.\n")
    return directory


def test_the_pages_are_built_and_served_to_this_machine(text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    fetched: list[str] = []

    def browser(address: str) -> bool:
        def fetch() -> None:
            with urllib.request.urlopen(f"{address}index.html") as answer:
                fetched.append(answer.read().decode())
            server.shutdown()

        opened.append(address)
        threading.Thread(target=fetch).start()
        return True

    monkeypatch.setattr(webbrowser, "open", browser)
    real = _serving.serve
    server: ThreadingHTTPServer

    def serve(started: ThreadingHTTPServer) -> int:
        nonlocal server
        server = started
        return real(started)

    monkeypatch.setattr(_serving, "serve", serve)
    assert guide.main(["--serve", "0", "--text", str(text), "--jobs", "1"]) == 0
    assert opened[0].startswith("http://127.0.0.1:")
    assert "<title>Index</title>" in fetched[0]


def test_a_port_that_is_taken_is_refused_before_anything_is_built(text: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert guide.main(["--serve", str(taken.getsockname()[1]), "--text", str(text), "--jobs", "1"]) == 2
    said = capsys.readouterr().err
    assert "give another port" in said
    assert "[1/1]" not in said


@pytest.mark.parametrize("arguments", [["--serve", "70000"], ["--serve", "here"], ["--check", "--serve"]])
def test_what_cannot_be_served_is_a_usage_error(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        guide.main(arguments)
    assert ended.value.code == 2
