"""A user's type checker accepts the public optimizers, and infers which one a dialect gives."""

import subprocess
import sys
from pathlib import Path

import pytest

USER = """
import numpy as np
import refimpl

table = np.zeros((4, 2), np.float32)
gradient = refimpl.RowGradient(np.array([1]), np.zeros((1, 2), np.float32), table.shape)


def step(optimizer: refimpl.Adam) -> None:
    optimizer.step([None])


adam = refimpl.Adam([table], lr=0.1)
adam.param_groups[0]["lr"] = 0.2
mindspore_adam = refimpl.Adam([table], 0.1, dialect="mindspore.Adam")
mindspore_adam.target = "CPU"
either = refimpl.Adam([table], dialect=str(table[0]))
for optimizer in (adam, mindspore_adam, either):
    step(optimizer)
refimpl.SparseAdam([table], lr=0.1).step([gradient])
half = np.zeros((4, 2), np.float16)
refimpl.AdamW([half], moment_dtype="float32").step([half.astype(np.float32)])
refimpl.Adam([half], moment_dtype=np.float32, dialect="mindspore.Adam").target = "CPU"
refimpl.LazyAdam([half], moment_dtype=np.dtype("float32")).step([half])
refimpl.LazyAdam([table], 0.1)([gradient])
adam.target = "CPU"
"""

CONFIGURATION = """
[mypy]
strict = true
[mypy-llvmlite.*,matplotlib.*,numba.*,scipy.*]
follow_imports = skip
follow_imports_for_stubs = true
"""
"""Two thirds of the time went into packages of which no type occurs in the signatures that the program uses."""


@pytest.mark.exhaustive
def test_a_strict_type_checker_accepts_the_optimizers_and_refuses_the_attributes_of_another_framework(
    tmp_path: Path, cache: pytest.Cache
) -> None:
    program, configuration = tmp_path / "user.py", tmp_path / "mypy.ini"
    program.write_text(USER)
    configuration.write_text(CONFIGURATION)
    files = [f"--config-file={configuration}", f"--cache-dir={cache.mkdir('mypy-of-a-user')}"]  # mypy checks again what has changed
    command = [sys.executable, "-m", "mypy", *files, str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # in this process, beside torch, it takes twice as long
    errors = [line for line in done.stdout.splitlines() if ": error: " in line]
    assert len(errors) == 1, done
    assert '"TorchAdam" has no attribute "target"' in errors[0]
