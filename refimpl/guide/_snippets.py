"""Where the snippets of a chapter run: a namespace of their own, and an empty directory that is gone afterwards."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from ._chapter import Wrong


class SnippetFailed(Wrong):
    """A snippet did not do what the text says, so that what follows it would fail too."""


PLUGIN = ("-p", "refimpl.pytest_plugin") if "refimpl" not in entry_points(group="pytest11").names else ()
"""What pytest needs as an argument in a source tree that is not installed: an installed refimpl is found by its entry point."""

PROGRAMS = {"refimpl": ("-m", "refimpl"), "pytest": ("-m", "pytest", *PLUGIN), "python": ()}
"""The commands that a text may show, and what this Python runs for each."""

COMMAND_TIMEOUT = 120
"""Seconds that a command of the text may take."""


class Workshop:
    """Runs the snippets of one chapter, one after the other. name: of the chapter, for tracebacks."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name, self.directory = name, directory
        self.names: dict[str, Any] = {"__name__": "__guide__"}

    def run(self, code: str, line: int, expected: str = "") -> str:
        """Run a snippet whose first line is this line of the chapter; what it printed.

        expected: the class of an error that it must raise; then the error's last line is what it printed.
        """
        out = io.StringIO()
        try:
            program = compile("\n" * (line - 1) + code, f"{self.name}.md", "exec", dont_inherit=True)
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
                warnings.simplefilter("error")  # a text should not teach what warns
                exec(program, self.names)
        except Exception as error:
            if type(error).__name__ == expected:
                return _summary(error) + "\n"
            instead = f", not {expected}" if expected else ""
            raise SnippetFailed(f"the snippet raised {_summary(error)}{instead}", self._line_of(error)) from error
        if expected:
            raise SnippetFailed(f"the snippet should have raised {expected}; it printed {out.getvalue()!r}")
        return out.getvalue()

    def evaluate(self, expression: str) -> Any:
        """The value of an expression in the namespace of the chapter."""
        try:
            return eval(compile(expression.strip(), f"{self.name}.md", "eval"), self.names)
        except Exception as error:
            raise SnippetFailed(f"`{expression}` raised {_summary(error)}") from error

    def command(self, text: str, expected: int) -> str:
        """Run each line as a command, without a shell; what they printed. The last must end with the expected exit code."""
        printed = []
        lines = [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]
        for number, line in enumerate(lines, start=1):
            done = self._execute(shlex.split(line))
            wanted = expected if number == len(lines) else 0
            if done.returncode != wanted:
                said = (done.stderr or done.stdout).strip()[-600:]
                raise SnippetFailed(f"`{line}` ended with {done.returncode}, not {wanted}: {said}")
            printed.append(done.stdout)
        return "".join(printed)

    def write(self, name: str, text: str) -> str:
        """Put a file that the text shows into the directory; it prints nothing."""
        (self.directory / Path(name).name).write_text(text, encoding="utf-8")
        return ""

    def _line_of(self, error: BaseException) -> int | None:
        if isinstance(error, SyntaxError) and error.filename == f"{self.name}.md":
            return error.lineno
        places = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == f"{self.name}.md"]
        return places[-1] if places else None

    def _execute(self, words: list[str]) -> subprocess.CompletedProcess[str]:
        if words[0] not in PROGRAMS:
            raise SnippetFailed(f"a text may run {', '.join(PROGRAMS)}, not {words[0]!r}")
        kept = {name: value for name, value in os.environ.items() if name not in ("REFIMPL_DEBUG", "FORCE_COLOR", "PYTEST_ADDOPTS")}
        environment = {
            **kept,
            "COLUMNS": "100",
            "NO_COLOR": "1",
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", "")]),
            "PYTHONPATH": os.pathsep.join([str(self.directory), *filter(None, [kept.get("PYTHONPATH")])]),
        }
        command = [sys.executable, *PROGRAMS[words[0]], *words[1:]]
        pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True}
        try:
            return subprocess.run(command, cwd=self.directory, env=environment, timeout=COMMAND_TIMEOUT, **pipes)
        except subprocess.TimeoutExpired:
            raise SnippetFailed(f"`{shlex.join(words)}` took more than {COMMAND_TIMEOUT} seconds") from None


@contextlib.contextmanager
def workshop(chapter: str) -> Iterator[Workshop]:
    """A workshop in a directory of its own, which is the current one until the end; modules that were imported from it are forgotten."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="refimpl-guide-") as temporary:
        directory = Path(temporary).resolve()
        os.chdir(directory)
        sys.path.insert(0, str(directory))
        try:
            yield Workshop(chapter, directory)
        finally:
            os.chdir(before)
            sys.path.remove(str(directory))
            for name, module in list(sys.modules.items()):
                if str(directory) in str(getattr(module, "__file__", "")):
                    del sys.modules[name]


def _summary(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": ")


def same_output(shown: str, printed: str) -> bool:
    """Whether a text shows what was printed; blanks at the ends of lines do not count, and dots stand for what is left out."""
    pattern = "".join(map(_pattern, shown.rstrip().splitlines()))
    lines = "".join(line.rstrip() + "\n" for line in printed.rstrip().splitlines())
    return re.fullmatch(pattern, lines) is not None


def _pattern(line: str) -> str:
    if line.strip() == "...":
        return r"(?:.*\n)*?"
    return ".*".join(map(re.escape, line.rstrip().split("..."))) + r"\n"
