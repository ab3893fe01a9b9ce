"""The vectors that peers are run on are generated once, and again when their sources change."""

from pathlib import Path

import pytest
from toy_peer import vectors

from refimpl.errors import HarnessError


@pytest.fixture
def generated(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The arguments of each generation, which here writes a file and nothing more."""
    made = []

    def main(arguments: list[str]) -> int:
        made.append(arguments)
        Path(arguments[-1]).mkdir()
        return 0

    monkeypatch.setattr(vectors.gen, "main", main)
    return made


def test_vectors_are_generated_once_and_again_when_their_sources_change(
    tmp_path: Path, generated: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert vectors.make_vectors("torch.Adam", tmp_path / "v") == tmp_path / "v" / "torch.Adam"
    vectors.make_vectors("torch.Adam", tmp_path / "v")
    assert [arguments[:4] for arguments in generated] == [["--suite", "full", "--dialect", "torch.Adam"]]
    monkeypatch.setattr(vectors, "SOURCES", ("oracle.py",))
    vectors.make_vectors("torch.Adam", tmp_path / "v")
    assert len(generated) == 2


def test_vectors_that_cannot_be_generated_leave_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors.gen, "main", lambda arguments: 3)
    with pytest.raises(HarnessError, match=r"torch\.Adam could not be generated"):
        vectors.make_vectors("torch.Adam", tmp_path / "v")
    assert list((tmp_path / "v").iterdir()) == []
