"""The Python that a worker runs in: this one, or that of another environment, which can import this refimpl but no other package."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import UsageError

OLDEST = (3, 10)
"""The oldest Python that can run a worker, as in pyproject.toml."""

PROBE = "import sys; print(sys.version_info[:2] >= (3, 10)); import numpy, yaml"
PROBE_SECONDS = 60.0


@dataclass(frozen=True)
class Interpreter:
    """path: of the interpreter; environment: what its process is given, None for that of refimpl."""

    path: str
    environment: Mapping[str, str] | None = None

    @classmethod
    def of(cls, python: str | None) -> Interpreter:
        """This interpreter, or the one that is named. Raises UsageError for one that cannot run a worker."""
        if python is None:
            return cls(sys.executable)
        path = shutil.which(python)
        if path is None:
            raise UsageError(f"--python {python}: no such program", "give the interpreter of an environment, as VENV/bin/python")
        path = os.path.abspath(path)  # not resolved: Python finds its environment by the path of the link
        _probe(path)
        # A directory that holds refimpl alone: other packages of this environment must not hide those of the other one.
        directory = tempfile.mkdtemp(prefix="refimpl-alone-")
        package = Path(__file__).resolve().parent.parent
        try:
            Path(directory, package.name).symlink_to(package, target_is_directory=True)
        except OSError:  # a system or a user that may make no links
            shutil.copytree(package, Path(directory, package.name))
        search = [directory, *filter(None, [os.environ.get("PYTHONPATH")])]
        interpreter = cls(path, {**os.environ, "PYTHONPATH": os.pathsep.join(search), "PYTHONDONTWRITEBYTECODE": "1"})
        # Workers may be started while the interpreter object exists. Its end, or that of this process, removes the directory.
        weakref.finalize(interpreter, shutil.rmtree, directory, ignore_errors=True)
        return interpreter


def _probe(path: str) -> None:
    hint = f"{path} -m pip install numpy pyyaml"
    try:
        done = subprocess.run([path, "-c", PROBE], capture_output=True, text=True, timeout=PROBE_SECONDS, check=False, errors="replace")
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"--python {path}: {error}", "give the interpreter of an environment, as VENV/bin/python") from None
    if done.stdout.startswith("False"):
        raise UsageError(f"--python {path}: it is older than Python {OLDEST[0]}.{OLDEST[1]}", "make the environment with a newer Python")
    if done.returncode or not done.stdout.startswith("True"):
        last = (done.stderr.strip().splitlines() or [f"it ended with exit status {done.returncode}"])[-1]
        raise UsageError(f"--python {path}: {last}", hint if "ModuleNotFoundError" in last else "")
