"""API pages: every public name with its signature and docstring."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

import refimpl
from refimpl.guide._api import api


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = ModuleType("toy")
    exec(
        """
from __future__ import annotations
LIMIT = 3

class Box:
    \"\"\"A box, `x < y`.

        y = a * x

    Raises ValueError.
    \"\"\"
    def open(self, key: int = 1) -> Box:
        \"\"\"Open it.\"\"\"
    def _hidden(self):
        \"\"\"Not shown.\"\"\"

def mute(): pass
""",
        module.__dict__,
    )
    monkeypatch.setitem(sys.modules, "toy", module)
    return module


def test_a_class_has_its_docstring_equations_and_public_methods(toy: ModuleType) -> None:
    toy.__all__ = ["LIMIT", "Box"]  # type: ignore[attr-defined]  # a module may have any attribute
    page = api("toy")
    assert "A constant: <code>3</code>" in page
    assert "<p>A box, <code>x &lt; y</code>.</p>" in page
    assert "<code>y = a * x</code></pre>" in page
    assert "open(self, key: int = 1) -&gt; Box" in page
    assert "Not shown" not in page


def test_a_public_name_without_a_docstring_is_refused(toy: ModuleType) -> None:
    toy.__all__ = ["mute"]  # type: ignore[attr-defined]  # a module may have any attribute
    with pytest.raises(LookupError, match=r"toy\.mute is public and has no docstring"):
        api("toy")


def test_every_public_name_has_an_entry() -> None:
    page = api("refimpl")
    for name in refimpl.__all__:
        assert f">refimpl.{name}<" in page
