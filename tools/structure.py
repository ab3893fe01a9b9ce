"""The structure of the package: its layers, the imports that break them, and a diagram made from the imports.

python tools/structure.py                 list what breaks the layers; exit code 1 if anything does
python tools/structure.py --write         write the picture into CONTRIBUTING.md
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
CONTRIBUTING = REPOSITORY / "CONTRIBUTING.md"
START, END = "<!-- made by tools/structure.py -->", "<!-- end -->"

LAYERS: Mapping[str, str] = {
    "errors": "exceptions with a message, a hint and an exit code",
    "common": "what every command shares: command line, files, progress, text, JSON, the HTML page",
    "gradients": "row gradients, and the check of every gradient",
    "case": "what a backend is given, and what is expected of it",
    "dialects": "dialects and deviations as tables of choices; settings of one in the names of another",
    "conversion": "the state of one optimizer as another keeps it",
    "arithmetic": "the number systems: floats, balls that hold the truth, running error bounds",
    "reference": "the step, written once; counters; a case step by step",
    "oracle": "truth and bound of a case; which deviations it catches",
    "kernels": "Numba: one step of one parameter in place",
    "optim": "SparseAdam, LazyAdam and Adam over NumPy arrays",
    "cases": "what is tested: a module per theme, the table of coverage",
    "vectors": "the files: write, read, validate, select",
    "backends": "the protocol; the built-in backends; running any backend in a process of its own",
    "judging": "verdicts; the diagnosis, a module per family of hypotheses; waivers",
    "report": "a verdict as text, JSON, JUnit, HTML and GitHub annotations",
    "checking": "the parts of `check`: options, subject, history, nearest dialect",
    "tolerances": "tolerances of other tools: the mistakes that they let pass, the correct results that they refuse",
    "watch": "the steps of a real run: samples before and after, judged with proven bounds",
    "fuzz": "random cases: judging them on the fly, making failures small, campaigns in parts",
    "diff": "two dialects: what differs, and how one reproduces the other",
    "explain": "the update of one element, line by line",
    "guide": "the guide: its text, and the build that checks and renders it",
    "gen": "the command that writes vectors",
    "check": "the command that judges a backend",
    "audit": "the command that audits a tolerance",
    "warm": "the command that compiles the kernels beforehand",
    "corpus": "the command that lists where deviations are live",
    "pytest_plugin": "vectors as tests in a user's own suite",
    "__main__": "`refimpl CMD`",
}
"""Top-level module or package of refimpl to what it holds. Each imports only what stands above it."""


@dataclass(frozen=True)
class Import:
    """One import between modules of refimpl, both by their dotted names."""

    importer: str
    imported: str
    line: int

    def __str__(self) -> str:
        return f"{self.importer} imports {self.imported} (line {self.line})"


def imports(package: Path = REPOSITORY / "refimpl") -> tuple[Import, ...]:
    """Every import of one module of the package by another, also those inside functions."""
    modules = {_dotted(file.relative_to(package.parent)): file for file in sorted(package.rglob("*.py"))}
    return tuple(imported for name, file in modules.items() for imported in _imports_of(name, file, modules))


def _dotted(file: Path) -> str:
    return ".".join(file.with_suffix("").parts).removesuffix(".__init__")


def _imports_of(name: str, file: Path, modules: Mapping[str, Path]) -> Iterator[Import]:
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (Import(name, alias.name, node.lineno) for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom):
            above = package.rsplit(".", node.level - 1)[0] if node.level else ""
            base = ".".join(part for part in (above, node.module) if part)
            for alias in node.names:
                imported = next((module for module in (f"{base}.{alias.name}", base) if module in modules), None)
                if imported:
                    yield Import(name, imported, node.lineno)


def layer_of(module: str) -> str:
    """The layer that a module belongs to: the first name below refimpl; "" for refimpl itself."""
    return module.partition(".")[2].partition(".")[0]


def faults(all_imports: tuple[Import, ...]) -> Iterator[str]:
    """What breaks the layers: a module that no layer names, an import of a later layer, one of another package's private module."""
    order = {name: number for number, name in enumerate(LAYERS)}
    unknown = {layer_of(end) for each in all_imports for end in (each.importer, each.imported)} - order.keys() - {""}
    yield from (f"refimpl.{name} stands in no layer: add it to LAYERS in tools/structure.py" for name in sorted(unknown))
    for each in all_imports:
        importer, imported = layer_of(each.importer), layer_of(each.imported)
        if importer == imported or not importer or importer in unknown or imported in unknown:
            continue  # refimpl/__init__.py exports the public names of every layer
        if not imported or order[imported] > order[importer]:
            yield f"{each}: a later layer"
        elif any(part.startswith("_") and part != "__main__" for part in each.imported.split(".")):
            yield f"{each}: private to refimpl.{imported}"


def picture(all_imports: tuple[Import, ...]) -> str:
    """The layers in Markdown: a diagram of their imports, without the arrows that follow from others, and a table."""
    uses: dict[str, set[str]] = {name: set() for name in LAYERS}
    for each in all_imports:
        importer, imported = layer_of(each.importer), layer_of(each.imported)
        if importer and imported and importer != imported:
            uses[importer].add(imported)
    reached: dict[str, set[str]] = {}
    for name in LAYERS:  # in this order every import of a layer was reached before it
        reached[name] = uses[name].union(*(reached[other] for other in uses[name]))
    direct = {name: [other for other in uses[name] if not any(other in reached[via] for via in uses[name])] for name in LAYERS}
    arrows = [f"  {_node(name)} --> {_node(other)}" for name in reversed(list(LAYERS)) for other in sorted(direct[name])]
    rows = [f"| `{name}` | {about} | {', '.join(other for other in LAYERS if other in uses[name])} |" for name, about in LAYERS.items()]
    drawing = ["```mermaid", "flowchart TD", *arrows, "```"]
    return "\n".join([*drawing, "", "| layer | what it holds | imports |", "|---|---|---|", *rows])


def _node(name: str) -> str:
    return f'{name.strip("_")}["{name}"]'


def with_picture(text: str, all_imports: tuple[Import, ...]) -> str:
    """The text with a new diagram between its two marks."""
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n{picture(all_imports)}\n{END}{after}"


def main(arguments: list[str] | None = None) -> int:
    """The command; see the top of this file."""
    parser = argparse.ArgumentParser(prog="python tools/structure.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write the picture into CONTRIBUTING.md")
    options = parser.parse_args(arguments)
    all_imports = imports()
    broken = list(faults(all_imports))
    print("\n".join(broken) if broken else f"{len(LAYERS)} layers, {len(all_imports)} imports, none of a later layer or a private module")
    if options.write:
        CONTRIBUTING.write_text(with_picture(CONTRIBUTING.read_text(encoding="utf-8"), all_imports), encoding="utf-8")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
