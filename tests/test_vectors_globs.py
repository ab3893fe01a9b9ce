from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refimpl.vectors.globs import may_hold


@pytest.mark.parametrize(
    ("globs", "possible"),
    [
        ((), True),
        (("torch.Adam/basics/*",), True),
        (("torch.Adam/basics/one-step",), True),
        (("*/one-step",), True),
        (("torch.Adam/b*",), True),
        (("torch.Adam/[a-c]asics/one-step",), True),
        (("torch.Adam/eps/*", "torch.?dam/*"), True),
        (("torch.Adam/eps/*",), False),
        (("torch.AdamW/*", "torch.Adam/bases"), False),
        (("torch.Adam/basic/*",), False),
    ],
)
def test_a_theme_is_passed_over_only_if_no_glob_can_match_an_id_of_it(globs: tuple[str, ...], possible: bool) -> None:
    assert may_hold("torch.Adam/basics", globs) is possible


LETTERS = "ab/*?[]!"
NAMES = st.text("ab", min_size=1, max_size=3)


@given(
    st.text(LETTERS, max_size=8), st.text("ab", min_size=1, max_size=3), st.text("ab", min_size=1, max_size=3), st.text("ab", max_size=3)
)
def test_a_theme_with_an_id_that_matches_is_never_passed_over(glob: str, dialect: str, theme: str, slug: str) -> None:
    if fnmatchcase(f"{dialect}/{theme}/{slug}", glob):
        assert may_hold(f"{dialect}/{theme}", (glob,))
