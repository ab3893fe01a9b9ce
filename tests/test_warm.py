"""The command `warm`: what it compiles, and what it says."""

from __future__ import annotations

import pytest

from refimpl import warm
from refimpl.__main__ import main as refimpl_main
from refimpl.errors import HARNESS_FAILED, OK
from refimpl.kernels import updating, warming
from refimpl.warm import Formats, formats


def test_every_format_is_compiled_changed_or_not_and_with_amsgrad_or_not() -> None:
    combinations = list(formats(["float32"]))
    assert len(set(combinations)) == 4
    assert {(each.changed, each.amsgrad) for each in combinations} == {(a, b) for a in (False, True) for b in (False, True)}


def test_the_moments_of_a_half_may_be_float32() -> None:
    assert {each.moments for each in formats(["bfloat16"])} == {"bfloat16", "float32"}


def test_it_compiles_what_it_lists_and_says_where_it_is_kept(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    compiled: list[Formats] = []
    monkeypatch.setattr(warming, "compile_formats", lambda *formats: compiled.append(Formats(*formats)))
    monkeypatch.setattr(warming, "folder", lambda: "/somewhere")
    assert refimpl_main(["warm", "--dtype", "float64"]) == OK
    assert compiled == list(formats(["float64"]))
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("4 kernels ready after ")
    assert first.endswith(", kept in /somewhere")
    assert "thread" in second


def test_a_format_is_the_kernel_that_a_step_of_these_dtypes_looks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_for: list[tuple[object, ...]] = []
    monkeypatch.setattr(warming, "updater", lambda *arguments: looked_for.append(arguments))
    monkeypatch.setattr(warming, "_launch", lambda: None)
    warming.compile_formats("float16", "float32", "float16", True, False)
    warming.compile_formats("bfloat16", "bfloat16", "bfloat16", False, True)
    assert looked_for == [(False, "h", "f", "f", "f", "h"), (True, "H", "H", "H", "", "H")]


def test_float32_is_ready_after_it() -> None:
    warming.compile_formats("float32", "float32", "float32", False, False)
    before = updating.updater.cache_info().misses
    warming.compile_formats("float32", "float32", "float32", False, False)
    assert updating.updater.cache_info().misses == before


def test_where_nothing_can_be_kept_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(warming, "folder", lambda: None)
    assert warm.main([]) == HARNESS_FAILED
    assert "NUMBA_CACHE_DIR" in capsys.readouterr().err
