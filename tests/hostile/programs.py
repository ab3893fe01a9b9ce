"""Hostile programs under `check --program`: each is a few lines of Python; `check` ends in time and leaves nothing."""

from __future__ import annotations

import shlex
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from . import Entry
from .backends import CASES, TIMEOUT, checked

START = """
    import os, pathlib, signal, subprocess, sys, time, zipfile
    import numpy as np
    inputs, results = map(pathlib.Path, sys.argv[1:])
    token = os.environ["HOSTILE_TOKEN"]
    theme = results / "torch.SparseAdam" / "basics.npz"
    theme.parent.mkdir()
    def save(**members):
        np.savez(theme, **{name.replace("__", "/"): value for name, value in members.items()})
    def sleeper(**options):
        return subprocess.Popen(["sleep", token], **options)
"""

PROGRAMS: dict[str, tuple[str, tuple[int, ...]]] = {
    "does nothing": ("", (1, 3)),
    "fails": ("sys.exit(7)", (3,)),
    "raises": ("1 / 0", (3,)),
    "kills itself": ("os.kill(os.getpid(), 9)", (3,)),
    "hangs": ("time.sleep(float(token))", (3,)),
    "hangs and ignores signals": ("signal.signal(15, signal.SIG_IGN); signal.signal(2, signal.SIG_IGN); time.sleep(float(token))", (3,)),
    "leaves a child": ("sleeper()", (1, 3)),
    "leaves a child in a session": ("sleeper(start_new_session=True)", (1, 3)),
    "leaves a child without environment": ("sleeper(start_new_session=True, env={'PATH': os.environ['PATH']})", (1, 3)),
    "leaves a child that keeps its streams": ("sleeper(close_fds=False); os._exit(0)", (1, 3)),
    "kills its supervisor and hangs": ("os.kill(os.getppid(), 9); time.sleep(float(token))", (1, 3)),
    "stops its supervisor": ("os.kill(os.getppid(), signal.SIGSTOP)", (1, 3)),
    "stops itself": ("os.kill(os.getpid(), signal.SIGSTOP)", (3,)),
    "removes its inputs": ("import shutil; shutil.rmtree(inputs)", (1, 3)),
    "removes its results": ("import shutil; shutil.rmtree(results)", (1, 2, 3)),
    "makes its results a file": ("import shutil; shutil.rmtree(results); results.write_text('x')", (1, 2, 3)),
    "makes its results a link": ("import shutil; shutil.rmtree(results); results.symlink_to('/proc/self')", (1, 2, 3)),
    "makes a result a link to nowhere": ("theme.symlink_to('nowhere')", (1, 3)),
    "makes a result a link to itself": ("theme.symlink_to(theme)", (1, 3)),
    "makes a result a pipe": ("os.mkfifo(theme)", (1, 3)),
    "makes a result a device": ("theme.symlink_to('/dev/zero')", (1, 3)),
    "makes a result a directory": ("theme.mkdir()", (1, 3)),
    "makes a result that nobody may read": ("save(); theme.chmod(0)", (1, 3)),
    "writes an empty file": ("theme.write_bytes(b'')", (1, 3)),
    "writes garbage": ("theme.write_bytes(b'PK' * 999)", (1, 3)),
    "writes pickles": ("save(**{'one-step__param.w': np.array([{}], object)})", (1, 3)),
    "writes a bomb": (
        "z = zipfile.ZipFile(theme, 'w', zipfile.ZIP_DEFLATED); z.writestr('one-step/param.w.npy', bytes(1 << 28)); z.close()", (1, 3),
    ),
    "writes a name that climbs": ("save(**{'..__..__param.w': np.zeros(3)})", (1, 3)),
    "writes a huge file": ("theme.touch(); os.truncate(theme, 1 << 40)", (1, 3)),
    "writes a character that is none": (
        "save(**{'one-step__error': np.frombuffer((0x7fffffff).to_bytes(4, 'little'), '<U1').reshape(())})", (1,),
    ),
    "writes escape codes": ("save(**{'one-step__unsupported': np.array('\\x1b[2J\\x07')})", (1, 3)),
    "writes other shapes": ("save(**{'one-step__param.w': np.zeros((0, 0, 0))})", (1, 3)),
    "says an error for all": ("save(**{'one-step__error': np.array('no')})", (1,)),
    "writes to standard output without end": ("[os.write(1, b'x' * 4096) for _ in iter(int, 1)]", (3,)),
}  # fmt: skip


def entries() -> Iterator[Entry]:
    for about, (text, codes) in PROGRAMS.items():
        yield Entry(f"a program that {about}", "program", partial(_judged, text, codes))
    for command, about in COMMANDS.items():
        yield Entry(f"--program {about}", "program", partial(_refused, command))


COMMANDS = {
    "": "that is empty",
    "   ": "of spaces",
    "'": "with an open quote",
    "/nowhere/at/all": "that is not there",
    "/": "that is a directory",
    "/dev/null": "that is a device",
    "./relative-and-not-there --flag": "that is not there, with options",
}


def _judged(text: str, codes: tuple[int, ...]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "program.py")
        file.write_text(f"{textwrap.dedent(START)}\n{text}\n", encoding="utf-8")
        command = shlex.join([sys.executable, str(file)])
        _check(command, codes)


def _refused(command: str) -> None:
    _check(command, (2,))


def _check(command: str, codes: tuple[int, ...]) -> None:
    words = ["--program", command, "--dialect", "torch.SparseAdam", "--case", CASES[0], "--timeout", f"{TIMEOUT + 1:g}"]
    done = checked(words, codes, 1)
    if done.returncode == 0:
        raise AssertionError("it passed")
