"""The programs that the guide's chapter of the watch shows."""

from __future__ import annotations

import re
from importlib.resources import files


def example(file: str) -> str:
    """The program of that name."""
    text = files("refimpl.guide").joinpath("text", "22-watch.md").read_text(encoding="utf-8")
    (code,) = re.findall(rf"^```python file {re.escape(file)}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return str(code)
