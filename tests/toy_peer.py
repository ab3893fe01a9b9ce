"""A peer made for tests, and what is kept of a run of it."""

import json
import sys
import textwrap
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml
from made_reports import report

from refimpl.judging.verdict import CaseVerdict, Diagnosis

TOOLS = Path(__file__).resolve().parent.parent / "tools"
if str(TOOLS) not in sys.path:
    sys.path.insert(0, str(TOOLS))
peers, table, environment, runs, matrix, page, vectors = (
    import_module(name)
    for name in ("peers", "peers_table", "peers_environment", "peers_run", "peers_matrix", "peers_page", "peers_vectors")
)
HERE = environment.Environment(Path(sys.executable), "7.1", "3.11.7", "Linux x86_64")

TABLE = """
    name: Toy
    python: ["3.11"]
    install: ["toy==7.1", "numpy==2.4.6"]
    distribution: toy
    backend: torch
    routes:
      lazy: {about: "toy.Lazy", dialects: [torch.SparseAdam]}
    readings:
      - {cause: duplicates-last-wins, routes: [lazy], where: "toy 7.1, toy/lazy.py, Lazy.step", code: "table[rows] -= change"}
"""
CLAIM: dict[str, Any] = {
    "says": "duplicates are summed",
    "where": "the manual of toy",
    "link": "https://example.org/manual",
    "but": "The last occurrence wins.",
    "evidence": {"route": "lazy", "case": "torch.SparseAdam/duplicates/off", "status": "failed"},
}


def toy(tmp_path: Path, **changes: Any) -> Any:
    """The peer `toy`, read from a file with these keys changed; None takes one out."""
    document = {**yaml.safe_load(textwrap.dedent(TABLE)), **changes}
    file = tmp_path / "toy.yaml"
    file.write_text(yaml.safe_dump({key: value for key, value in document.items() if value is not None}))
    return table.read_peer(file)


def result(peer: Any, *verdicts: CaseVerdict, causes: Sequence[Diagnosis] = (), **fields: Any) -> Any:
    """What is kept of a report on the route `lazy`."""
    made = report(*verdicts, diagnoses=causes, **fields)
    return json.loads(runs.to_json(runs.run_peer(peer, HERE, {"lazy": {"torch.SparseAdam": made}})))


LAST_WINS = Diagnosis(("duplicates-last-wins",), "only the last counts", ("torch.SparseAdam/duplicates/off",))
