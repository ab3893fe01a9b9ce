from pathlib import Path

import numpy as np
import pytest

from refimpl.case import Case, Golden
from refimpl.errors import UsageError
from refimpl.explain import _plot as plot
from refimpl.explain._api import against, explain
from refimpl.explain._selection import Numbers, case_of

pytest.importorskip("matplotlib")


def numbers() -> Case:
    return case_of(Numbers(["1", "empty", "0.5"], dialect="torch.SparseAdam", lr=0.1))


def pair(core: dict[str, list[Golden]]) -> Case:
    return next(golden.case for golden in core["torch.SparseAdam"] if golden.case.slug == "pair")


def test_the_history_begins_with_the_start_and_has_gaps_where_a_row_is_untouched() -> None:
    history = plot.history(numbers(), "w")
    assert history["param"].shape == (4, 1)
    assert history["param"][0, 0] == 1.0
    assert plot.touched(history)[:, 0].tolist() == [False, True, False, True]
    assert history["exp_avg"][1, 0] == history["exp_avg"][2, 0]
    by_hand = 0.1 * np.sqrt(1 - 0.999**3) / (1 - 0.9**3)  # an empty gradient counts
    assert history["size"][3, 0] == pytest.approx(by_hand, rel=1e-6)


def test_the_row_that_is_untouched_most_often_is_drawn_beside_the_one_that_is_explained(core: dict[str, list[Golden]]) -> None:
    history = plot.history(pair(core), "w")
    other = plot.untouched(history, 4 * 3, 3)
    assert other is not None
    assert other % 3 == 0
    assert not plot.touched(history)[:, other].any()
    assert plot.untouched(plot.history(numbers(), "w"), 0, 1) is None


@pytest.mark.parametrize("suffix", plot.SUFFIXES)
def test_a_figure_is_written_in_each_format(core: dict[str, list[Golden]], tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"steps{suffix}"
    mine = explain(pair(core))
    plot.draw(file, mine, pair(core), against(pair(core), mine, "mindspore.LazyAdam.default-target"))
    content = file.read_bytes()
    assert content[:4] in (b"\x89PNG", b"<?xm", b"%PDF")
    if suffix == ".svg":
        text = content.decode()
        assert "row 4, column 0, torch.SparseAdam" in text
        assert "mindspore.LazyAdam.default-target" in text
        assert "second moment" in text


def test_the_same_case_gives_the_same_svg(core: dict[str, list[Golden]], tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        plot.draw(tmp_path / name, explain(pair(core)), pair(core))
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_a_name_that_is_no_figure_s_is_refused(core: dict[str, list[Golden]], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not the name of a figure"):
        plot.draw(tmp_path / "steps.txt", explain(pair(core)), pair(core))
    assert list(tmp_path.iterdir()) == []
