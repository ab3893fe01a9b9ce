"""Where the snippets of a chapter run: a namespace of their own, and an empty directory that is gone afterwards."""

from __future__ import annotations

import contextlib
import io
import os
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


class SnippetFailed(Exception):
    """A snippet did not do what the text says. line: of the chapter, where it is known."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.message, self.line = message, line


PLUGIN = ("-p", "refimpl.pytest_plugin") if not any(one.name == "refimpl" for one in entry_points(group="pytest11")) else ()
"""What pytest needs to be told in a source tree that is not installed: an installed refimpl is found by its entry point."""

PROGRAMS = {"refimpl": ("-m", "refimpl"), "pytest": ("-m", "pytest", *PLUGIN), "python": ()}
"""The commands that a text may show, and what this Python runs for each."""

COMMAND_TIMEOUT = 120
"""Seconds that a command of the text may take."""


class Workshop:
    """Runs the snippets of one chapter, one after the other. name: of the chapter, for tracebacks."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name, self.directory = name, directory
        self.names: dict[str, Any] = {"__name__": "__guide__"}

    def run(self, code: str, line: int) -> str:
        """Run a snippet whose first line is this line of the chapter; what it printed."""
        try:
            return self._printed(code, line)
        except Exception as error:
            raise SnippetFailed(f"the snippet raised {_summary(error)}", self._line_of(error)) from error

    def raises(self, code: str, line: int, kind: str) -> str:
        """Run a snippet that must raise an error of this class; what it printed, and the error's last line."""
        try:
            printed = self._printed(code, line)
        except Exception as error:
            if type(error).__name__ != kind:
                raise SnippetFailed(f"the snippet raised {_summary(error)}, not {kind}", self._line_of(error)) from error
            return _summary(error) + "\n"
        raise SnippetFailed(f"the snippet should have raised {kind}; it printed {printed!r}")

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
            code, out, error = self._execute(shlex.split(line))
            wanted = expected if number == len(lines) else 0
            if code != wanted:
                raise SnippetFailed(f"`{line}` ended with {code}, not {wanted}: {(error or out).strip()[-600:]}")
            printed.append(out)
        return "".join(printed)

    def write(self, name: str, text: str) -> None:
        """Put a file that the text shows into the directory."""
        (self.directory / Path(name).name).write_text(text, encoding="utf-8")

    def _printed(self, code: str, line: int) -> str:
        out = io.StringIO()
        program = compile("\n" * (line - 1) + code, f"{self.name}.md", "exec", dont_inherit=True)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("error")  # a text should not teach what warns
            exec(program, self.names)
        return out.getvalue()

    def _line_of(self, error: BaseException) -> int | None:
        if isinstance(error, SyntaxError) and error.filename == f"{self.name}.md":
            return error.lineno
        places = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == f"{self.name}.md"]
        return places[-1] if places else None

    def _execute(self, words: list[str]) -> tuple[int, str, str]:
        if words[0] not in PROGRAMS:
            raise SnippetFailed(f"a text may run {', '.join(PROGRAMS)}, not {words[0]!r}")
        paths = [str(self.directory), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {
            **{name: value for name, value in os.environ.items() if name not in ("REFIMPL_DEBUG", "FORCE_COLOR", "PYTEST_ADDOPTS")},
            "COLUMNS": "100",
            "NO_COLOR": "1",
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
            "PYTHONPATH": os.pathsep.join(paths),
        }
        try:
            done = subprocess.run(
                [sys.executable, *PROGRAMS[words[0]], *words[1:]],
                cwd=self.directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=COMMAND_TIMEOUT,
            )
        except subprocess.TimeoutExpired:
            raise SnippetFailed(f"`{shlex.join(words)}` took more than {COMMAND_TIMEOUT} seconds") from None
        return done.returncode, done.stdout, done.stderr


@contextlib.contextmanager
def workshop(name: str) -> Iterator[Workshop]:
    """A workshop in a directory of its own, which is the current one until the end; modules that were imported from it are forgotten."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="refimpl-guide-") as temporary:
        directory = Path(temporary).resolve()
        os.chdir(directory)
        sys.path.insert(0, str(directory))
        try:
            yield Workshop(name, directory)
        finally:
            os.chdir(before)
            sys.path.remove(str(directory))
            for module in [key for key, one in sys.modules.items() if str(directory) in str(getattr(one, "__file__", ""))]:
                del sys.modules[module]


def _summary(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": ")
