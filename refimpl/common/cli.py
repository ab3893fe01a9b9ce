"""What every command shares: errors become messages and exit codes, and a file is written whole or not at all."""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import stat
import sys
import traceback
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from ..errors import BAD_INPUT, HARNESS_FAILED, RefimplError, UsageError
from .files import replace_file
from .text import printable

INTERRUPTED = 130
PIPE_CLOSED = 141
"""What a shell reports for a process that SIGINT or SIGPIPE ended."""

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""The errors of a write to a full disk."""

PACKAGES = {
    **{name: name for name in ("jinja2", "jsonschema", "markupsafe", "matplotlib", "ml_dtypes", "numba", "rich", "scipy", "torch")},
    "flint": "python-flint",
}
"""Module to the package that brings it, of those that not every command needs: an installation may have NumPy and PyYAML alone."""


def command_parser(command: str, description: str, examples: str) -> argparse.ArgumentParser:
    """The parser of `python -m refimpl.COMMAND`, which prints description and examples line by line as they are written."""
    return argparse.ArgumentParser(
        prog=f"python -m refimpl.{command}",
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def guarded(name: str, body: Callable[[], int]) -> int:
    """Run the body of a command and return its exit code; an exception becomes a message on stderr and a code of its own.

    With REFIMPL_DEBUG=1 in the environment the traceback is printed too.
    """
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a character that the stream cannot encode must not make a message fail
    try:
        code = body()
        sys.stdout.flush()
        return code
    except RefimplError as error:
        return _failed(name, error.message, error.hint, error.exit_code)
    except KeyboardInterrupt:
        return _failed(name, "interrupted", "", INTERRUPTED)
    except BrokenPipeError:
        _discard_stdout()
        return PIPE_CLOSED
    except Exception as error:
        if _is_full(error):
            _discard_stdout()
        return _failed(name, *_explained(error))


def _is_full(error: Exception) -> bool:
    """Whether standard output lies on a full disk. The error of any other file has a file name."""
    return isinstance(error, OSError) and error.errno in FULL and error.filename is None


def _explained(error: Exception) -> tuple[str, str, int]:
    """The message, the hint and the exit code of an error that no command handles."""
    if isinstance(error, ModuleNotFoundError) and error.name in PACKAGES:
        package = PACKAGES[error.name]
        return f"this needs the Python package {package}", f"pip install {package}", BAD_INPUT
    if isinstance(error, OSError) and _is_full(error):
        return f"standard output cannot be written: {error.strerror}", "free some space, or write elsewhere", BAD_INPUT
    hint = "this is an error of refimpl or of its surroundings; set REFIMPL_DEBUG=1 for the traceback"
    return f"{type(error).__name__}: {error}", hint, HARNESS_FAILED


def _open_closed_streams() -> None:
    """Open the null device for each closed standard stream: else the next opened file would get its number and its messages."""
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)
            if null == descriptor:
                os.set_inheritable(null, True)
            else:
                os.dup2(null, descriptor)
                os.close(null)
        if getattr(sys, name) is None:  # as Python leaves it where it was closed at the start
            setattr(sys, name, os.fdopen(descriptor, "r" if name == "stdin" else "w", closefd=False))


def _failed(name: str, message: str, hint: str, code: int) -> int:
    if os.environ.get("REFIMPL_DEBUG") == "1":
        traceback.print_exc()
    say(f"{name}: {message}")
    if hint:
        say(f"  hint: {hint}")
    return code


def _discard_stdout() -> None:
    """Send stdout to the null device, so that the interpreter's last flush does not fail."""
    with contextlib.suppress(OSError, ValueError):  # where stdout has no descriptor there is no last flush to fail
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(message: str) -> None:
    """Print a message to stderr, because stdout is for data. A stderr that cannot be written to is ignored."""
    with contextlib.suppress(OSError, ValueError):  # stderr is closed, or lies on a full disk
        print(printable(message), file=sys.stderr, flush=True)


def version() -> str:
    """The version of refimpl that is installed, or "uninstalled" in a source tree that is not."""
    try:
        return metadata.version("refimpl")
    except metadata.PackageNotFoundError:
        return "uninstalled"


def natural(text: str) -> int:
    """An argparse type: a number from 0 on."""
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 on")
    return int(text)


def positive(text: str) -> int:
    """An argparse type: a number from 1 on."""
    if (value := natural(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return value


def output_file(text: str) -> Path:
    """An argparse type: a file that can be written when the work is done, an error before the work starts if it cannot."""
    path = Path(text)
    if not text or path.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is not a file name")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r}: there is no directory {str(path.parent)!r}; create it first")
    return path


def write_text(path: Path, text: str) -> None:
    """`write_bytes`, in UTF-8."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file under its name only when it is complete; an older file stays until then.

    Raises UsageError where the file cannot be written. A device or a pipe (/dev/stdout) is written to, never replaced.
    """
    try:
        if path.exists() and not stat.S_ISREG(path.stat().st_mode):
            path.write_bytes(content)
        else:
            mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o666 & ~_umask()
            replace_file(path.resolve(), content, mode)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be written: {error.strerror or error}", "name a file in a directory that you may write to"
        ) from error


def _umask() -> int:
    """The mode mask of new files. POSIX returns it only when it is set."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
