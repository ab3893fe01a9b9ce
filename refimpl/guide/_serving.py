"""`--serve`: the pages over HTTP on this machine alone, until Ctrl-C."""

from __future__ import annotations

import contextlib
import webbrowser
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from ..common.cli import say
from ..errors import OK, UsageError


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a line per request would hide the address."""


@contextlib.contextmanager
def listening(port: int, directory: Path) -> Iterator[ThreadingHTTPServer]:
    """A server of a directory, which holds its port before anything is built. Raises UsageError where another program has it."""
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), partial(_Quiet, directory=str(directory)))
    except OSError as error:
        raise UsageError(f"--serve {port}: {error.strerror or error}", "give another port, or 0 for a free one") from None
    with server:
        yield server


def serve(server: ThreadingHTTPServer) -> int:
    """Open the pages in the user's browser, where there is one, and serve them until Ctrl-C."""
    address = f"http://127.0.0.1:{server.server_address[1]}/"
    say(f"serving the guide at {address} (Ctrl-C ends it)")
    with contextlib.suppress(webbrowser.Error):
        webbrowser.open(address)
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
    return OK
