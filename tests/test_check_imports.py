"""What `check` may import: the author of a backend may have nothing but NumPy and PyYAML."""

import subprocess
import sys
import textwrap
from pathlib import Path

import small_vectors

HIDDEN = ("scipy", "numba", "flint", "rich", "jsonschema", "ml_dtypes", "torch")

JUDGE = f"""
    import sys
    sys.modules.update(dict.fromkeys({HIDDEN}))
    from refimpl.check import main
    sys.exit(main(["--results", "results", "--dialect", "torch.SparseAdam", "--case", "*/pair"]))
"""

DEVIATE = """
    import pathlib
    import numpy as np
    from refimpl.backends.execute import execute
    from refimpl.backends.reference import factory
    from refimpl.vectors import read_vectors
    (golden,) = read_vectors(pathlib.Path("vectors"), ["torch.SparseAdam"], ["*/pair"])
    states = execute(factory(deviations="duplicates-last-wins"), golden).states
    members = {f"pair/{array}.{name}": one for name, of in states.items() for array, one in of.items()}
    pathlib.Path("results/torch.SparseAdam").mkdir(parents=True)
    np.savez("results/torch.SparseAdam/duplicates.npz", **members)
"""


def run(code: str, directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, cwd=directory)


def test_with_every_other_package_missing_a_wrong_result_still_gets_its_cause(tmp_path: Path) -> None:
    small_vectors.write(tmp_path / "vectors", "torch.SparseAdam/duplicates/pair")
    made = run(DEVIATE, tmp_path)
    assert made.returncode == 0, made.stderr
    ended = run(JUDGE, tmp_path)
    assert ended.returncode == 1, ended.stderr
    assert "CAUSE duplicates-last-wins" in ended.stdout
