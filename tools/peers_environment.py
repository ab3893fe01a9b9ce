"""The virtual environment of a peer: an interpreter of the right version, and its pinned packages; made again when the pins change."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from peers_table import Peer

from refimpl.common.cli import say
from refimpl.errors import HarnessError, UsageError

STAMP = "peer.json"
"""The file in a finished environment that holds its pins."""


@dataclass(frozen=True)
class Environment:
    """An environment that is ready. python: its interpreter; version: that of the peer's distribution; interpreter, platform: in words."""

    python: Path
    version: str
    interpreter: str
    platform: str


def make_environment(peer: Peer, directory: Path, interpreter: Path | None = None) -> Environment:
    """The environment of a peer in a directory: the existing one if it was made from the same pins, or a new one.

    interpreter: instead of those that the peer names. Raises UsageError where none is found, HarnessError where pip fails.
    """
    base = interpreter or find_interpreter(peer)
    stamp = {"install": list(peer.install), "python": _version(base)}
    python = directory / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not _stamped(directory, stamp):
        _make(base, python, directory, peer)
        (directory / STAMP).write_text(json.dumps(stamp, indent=1) + "\n", encoding="utf-8")
    return _described(python, peer)


def find_interpreter(peer: Peer) -> Path:
    """The first interpreter of a version that the peer names, on PATH or among pyenv's."""
    for version in peer.python:
        for candidate in _candidates(version):
            if _version(candidate).startswith(f"{version}."):
                return candidate
    wanted = " or ".join(peer.python)
    raise UsageError(
        f"{peer.id}: no Python {wanted} is installed (tools/peers/{peer.id}.yaml: python)",
        f"install one (`pyenv install {peer.python[0]}`), or give its path with --python",
    )


def _candidates(version: str) -> Iterator[Path]:
    yield Path(sys.executable)
    on_path = shutil.which(f"python{version}")
    if on_path:
        yield Path(on_path)
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from sorted(root.glob(f"versions/{version}.*/bin/python"), reverse=True)


def _version(python: Path) -> str:
    """The full version of an interpreter; "" where it does not run (pyenv leaves programs on PATH that only say so)."""
    try:
        return _output([str(python), "-c", "import platform; print(platform.python_version())"])
    except (OSError, subprocess.CalledProcessError):
        return ""


def _output(command: Sequence[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout.strip()


def _stamped(directory: Path, stamp: object) -> bool:
    try:
        kept: object = json.loads((directory / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return kept == stamp


def _make(base: Path, python: Path, directory: Path, peer: Peer) -> None:
    say(f"{peer.id}: making {directory} with {base}")
    _call([str(base), "-m", "venv", "--clear", str(directory)], peer)
    _call([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *peer.install], peer)


def _call(command: Sequence[str], peer: Peer) -> None:
    try:
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    except OSError as error:
        raise UsageError(f"cannot run {command[0]!r}: {error.strerror}", "name an interpreter with --python") from None
    except subprocess.CalledProcessError as error:
        raise HarnessError(
            f"{peer.id}: `{shlex.join(command)}` ended with exit status {error.returncode}",
            f"its messages are above; the pins stand in tools/peers/{peer.id}.yaml: install",
        ) from None


DESCRIBE = """
import json, platform, sys
try:
    from importlib.metadata import version
except ImportError:
    from pkg_resources import get_distribution
    version = lambda name: get_distribution(name).version
print(json.dumps({"version": version(sys.argv[1]), "interpreter": platform.python_version(),
                  "platform": platform.system() + " " + platform.machine()}))
"""


def _described(python: Path, peer: Peer) -> Environment:
    try:
        return Environment(python, **json.loads(_output([str(python), "-c", DESCRIBE, peer.distribution])))
    except subprocess.CalledProcessError as error:
        raise UsageError(
            f"{peer.id}: {peer.distribution!r} is not installed: {error.stderr.strip().splitlines()[-1]}",
            f"correct `distribution` or `install` in tools/peers/{peer.id}.yaml",
        ) from None


def as_words(environment: Environment) -> dict[str, str]:
    """What a result says of the environment that it came from."""
    return {key: value for key, value in asdict(environment).items() if key != "python"}
