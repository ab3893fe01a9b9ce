"""The YAML tables that ship with refimpl beside the module that reads them."""

from __future__ import annotations

from importlib import resources
from typing import Any

import yaml

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml where PyYAML has it, which is ten times as fast: every command and worker reads the dialects."""


def read_table(package: str | None, file: str) -> dict[str, Any]:
    """A table by the package that it ships with (`__package__` of the caller) and its path there; an empty file is an empty table."""
    text = (resources.files(str(package)) / file).read_text(encoding="utf-8")
    return yaml.load(text, Loader=LOADER) or {}
