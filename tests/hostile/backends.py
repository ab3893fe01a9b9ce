"""Hostile backends: `check` ends in time with the right exit code, says what happened, and leaves nothing running."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path

import small_vectors

from . import Entry, zoo

TIMEOUT, GRACE = 2.0, 5.0
CASES = ("torch.SparseAdam/basics/one-step", "torch.SparseAdam/duplicates/pair")
TESTS = Path(__file__).resolve().parent.parent

STARTING = 15.0
"""Seconds for the start of a few workers and their imports on a busy machine; a factory that dies is tried five times."""


def entries() -> Iterator[Entry]:
    for kind, troubles, codes in (
        ("step", zoo.STEP, (1,)),
        ("harmless", zoo.HARMLESS, (0,)),
        ("state", zoo.STATE, (1,)),
        ("factory", zoo.FACTORY, (2, 3)),
    ):
        for trouble in troubles:
            yield Entry(f"{kind}/{trouble}", "backend", partial(_judged, f"{kind}/{trouble}", codes))


@cache
def vectors() -> Path:
    """A few vectors, in a directory that lasts as long as this process."""
    directory = tempfile.TemporaryDirectory(prefix="hostile-")
    _KEPT.append(directory)
    return Path(small_vectors.write(Path(directory.name)))


_KEPT: list[tempfile.TemporaryDirectory[str]] = []


def _judged(trouble: str, codes: tuple[int, ...]) -> None:
    words = ["hostile.zoo:make", "--option", f"trouble={trouble}", "--timeout", f"{TIMEOUT:g}"]
    checked([*words, *(word for case in CASES for word in ("--case", case))], codes, len(CASES) * 2 + 3)


def checked(arguments: list[str], codes: tuple[int, ...], runs: int) -> subprocess.CompletedProcess[str]:
    """Run `check`, and raise AssertionError for another exit code, a traceback of refimpl's own, a child that is left, or a hang.

    runs: how often a case is run at most, with the reruns of a failure; each may take its time limit.
    """
    token = str(random.SystemRandom().randrange(10**8, 10**9))
    environment = {**os.environ, "PYTHONPATH": f"{TESTS}{os.pathsep}{TESTS.parent}", "HOSTILE_TOKEN": token, "XDG_CACHE_HOME": os.devnull}
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        process = subprocess.Popen(
            [sys.executable, "-m", "refimpl.check", *arguments, "--vectors", str(vectors())],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=directory, env=environment,
        )  # fmt: skip
        limit = runs * (TIMEOUT + GRACE) + STARTING
        try:
            out, err = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise AssertionError(f"it did not end within {limit:g} s") from None
        finally:
            left = leftovers(token)
            for pid in left:
                os.kill(pid, 9)
    done = subprocess.CompletedProcess(arguments, process.returncode, out.decode(errors="replace"), err.decode(errors="replace"))
    said = f"{done.stdout[-600:]}\n{done.stderr[-900:]}"
    assert not left, f"{len(left)} processes are left after {time.monotonic() - began:.1f} s\n{said}"
    assert done.returncode in codes, f"exit code {done.returncode}, not {codes}\n{said}"
    assert "error of refimpl" not in said, said
    assert "\x1b" not in done.stdout, said
    return done


def leftovers(token: str) -> list[int]:
    """The processes that have the token in their command line or environment."""
    pids = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
                dead = b") Z " in (entry / "stat").read_bytes()
            except OSError:
                continue
            if token.encode() in words and not dead:
                pids.append(int(entry.name))
    return pids
