"""Data as strict JSON: what JSON cannot write (nan, infinities, tuples) is replaced by what it can."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from .cli import version


def document(format: int, content: Mapping[str, Any]) -> str:
    """What a command writes for `--json`: the version of the layout, that of refimpl, and the content."""
    return json.dumps(strict({"format": format, "refimpl": version(), **content}), indent=1, allow_nan=False) + "\n"


def strict(value: Any) -> Any:
    """The same data without what JSON cannot represent: a float that is not finite becomes "nan", "+inf" or "-inf", a tuple a list."""
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else "nan" if math.isnan(value) else f"{value:+}"
    if isinstance(value, Mapping):
        return {str(key): strict(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [strict(item) for item in value]
    return value
