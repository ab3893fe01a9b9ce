"""Judge the real frameworks, each in a virtual environment of its own, and make the conformance matrix of what they did."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import peers_matrix
import peers_page
from peers_environment import Environment, make_environment
from peers_run import run_peer, run_route, to_json
from peers_table import REPOSITORY, Peer, find_peer, read_peers
from peers_vectors import make_vectors

from refimpl.common.cli import guarded, say, write_text
from refimpl.errors import NOT_CONFORMANT, OK, RefimplError, UsageError
from refimpl.judging.verdict import Report, Status
from refimpl.report import to_text

WORK = REPOSITORY / ".peers"
KEPT = REPOSITORY / "vectors" / "peers"

EXAMPLES = """examples:
  python tools/peers.py list
  python tools/peers.py run paddle                     all of its routes; makes .peers/paddle/venv first
  python tools/peers.py run paddle --route lazy --verbose
  python tools/peers.py run --all --keep-going && python tools/peers.py matrix
  python tools/peers.py matrix --check                 is the page what the results say?

A peer is a file tools/peers/NAME.yaml (its keys: tools/peers/peer.schema.json) and a backend beside it, NAME_backend.py. `run` keeps
what came out in vectors/peers/NAME.json, `matrix` writes vectors/peers/README.md and matrix.json from those and from the tables.

exit codes: 0 all well; 1 a claim or a waiver that the results do not bear out, or `--check` found a difference;
2 usage or bad input; 3 a peer could not be run
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python tools/peers.py", description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="run|matrix|list")
    run = commands.add_parser("run", help="run peers over the vectors of their dialects, and keep the results")
    run.add_argument("names", nargs="*", metavar="NAME", help="peers, as `list` names them")
    run.add_argument("--all", action="store_true", help="every peer")
    run.add_argument("--route", action="append", default=[], metavar="R", help="only this route (may be repeated); the others stay as kept")
    run.add_argument("--python", type=Path, metavar="PATH", help="the interpreter to make the environment with")
    run.add_argument("--fresh", action="store_true", help="generate the vectors again, even if nothing has changed")
    run.add_argument("--keep-going", action="store_true", help="go on with the next route or peer where one cannot be run")
    run.add_argument("--verbose", action="store_true", help="print each report in full")
    matrix = commands.add_parser("matrix", help="write the page and matrix.json from the kept results")
    matrix.add_argument("--check", action="store_true", help="write nothing; say whether they are what the results and tables give")
    commands.add_parser("list", help="the peers, their routes, and what there is of them")
    options = parser.parse_args(argv)
    if options.command == "run" and bool(options.names) == options.all:
        run.error("give the NAME of a peer, or --all")
    return guarded(f"peers {options.command}", lambda: COMMANDS[options.command](options))


def _run(options: argparse.Namespace) -> int:
    peers = list(read_peers().values()) if options.all else [find_peer(name) for name in options.names]
    for name in options.route:
        if not any(name in peer.routes for peer in peers):
            routes = sorted(route for peer in peers for route in peer.routes)
            raise UsageError(f"--route: there is no {name!r}", f"choose from {', '.join(routes)}")
    if options.fresh:
        for dialect in {dialect for peer in peers for route in peer.routes.values() for dialect in route.dialects}:
            shutil.rmtree(WORK / "vectors" / dialect, ignore_errors=True)
    codes = [OK]
    for peer in peers:
        with _going_on(peer.id, options, codes):
            codes.append(_run_peer(peer, options))
    return max(codes)


@contextmanager
def _going_on(what: str, options: argparse.Namespace, codes: list[int]) -> Iterator[None]:
    """With --keep-going, print an error, record its exit code, and continue."""
    try:
        yield
    except RefimplError as error:
        if not options.keep_going:
            raise
        say(f"{what}: {error}")
        codes.append(error.exit_code)


def _run_peer(peer: Peer, options: argparse.Namespace) -> int:
    environment = make_environment(peer, WORK / peer.id / "venv", options.python)
    codes = [OK]
    reports: dict[str, dict[str, Report]] = {}
    routes = [route for route in peer.routes if route in options.route or not options.route]
    for route in routes:
        with _going_on(f"{peer.id} {route}", options, codes):
            reports[route] = _run_route(peer, route, environment, options)
    if not reports:
        return max(codes)
    result = run_peer(peer, environment, reports)
    both = {**(_kept(result, peer.id) if options.route else {}), **result["routes"]}
    result["routes"] = {route: both[route] for route in peer.routes if route in both}
    KEPT.mkdir(parents=True, exist_ok=True)
    write_text(KEPT / f"{peer.id}.json", to_json(result))
    problems = peers_matrix.problems(peer, result, routes)
    for problem in problems:
        print(problem)
    return max([*codes, NOT_CONFORMANT if problems else OK])


def _run_route(peer: Peer, route: str, environment: Environment, options: argparse.Namespace) -> dict[str, Report]:
    reports = {}
    for dialect in peer.routes[route].dialects:
        vectors = make_vectors(dialect, WORK / "vectors")
        report = reports[dialect] = run_route(peer, route, dialect, environment, vectors)
        counts = ", ".join(f"{report.count(status)} {status.value}" for status in Status if report.count(status))
        causes = ", ".join(cause.name for cause in report.diagnoses)
        print(to_text(report, verbose=True) if options.verbose else f"{peer.id} {route} {dialect}: {counts}; attained {report.attained}")
        if causes and not options.verbose:
            print(f"  {causes}")
    return reports


def _kept(result: peers_matrix.Result, id: str) -> dict[str, Any]:
    """The routes that are kept already, where they come from the same environment as this result."""
    file = KEPT / f"{id}.json"
    if not file.is_file():
        return {}
    kept = peers_matrix.read_result(file)
    if {**kept, "routes": {}} == {**result, "routes": {}}:
        return dict(kept["routes"])
    say(f"{id}: the kept results come from another environment and are dropped")
    return {}


def _matrix(options: argparse.Namespace) -> int:
    matrix = peers_matrix.build(read_peers(), KEPT)
    files = {KEPT / "README.md": peers_page.to_markdown(matrix), KEPT / "matrix.json": peers_matrix.to_json(matrix)}
    stale = [file for file, text in files.items() if not file.is_file() or file.read_text(encoding="utf-8") != text]
    if options.check:
        for file in stale:
            print(f"{file}: is not what the results and tables give; run `python tools/peers.py matrix`")
    else:
        for file in stale:
            write_text(file, files[file])
        say(f"{len(matrix.rows)} rows of {len(matrix.results)} peers in {KEPT / 'README.md'}")
    missing = [id for id in matrix.peers if id not in matrix.results]
    if missing:
        say(f"not run yet, and so not in the matrix: {', '.join(missing)}")
    for problem in matrix.problems:
        print(problem)
    return NOT_CONFORMANT if matrix.problems or (options.check and stale) else OK


def _list(options: argparse.Namespace) -> int:
    for id, peer in read_peers().items():
        results = KEPT / f"{id}.json"
        kept = peers_matrix.read_result(results)["version"] if results.is_file() else "not run"
        environment = "environment made" if (WORK / id / "venv").is_dir() else "no environment"
        print(f"{id}: {peer.name}, kept: {kept}, {environment}, Python {' or '.join(peer.python)}")
        width = max(map(len, peer.routes))
        for name, route in peer.routes.items():
            print(f"  {name:<{width}}  {', '.join(route.dialects)}: {route.about}")
    return OK


COMMANDS = {"run": _run, "matrix": _matrix, "list": _list}


if __name__ == "__main__":
    raise SystemExit(main())
