import pytest

from refimpl.dialects import dialects
from refimpl.dialects.names import near_dialects


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("torch.optim.SparseAdam", "torch.SparseAdam"),
        ("optim.Adam", "torch.Adam"),
        ("torch.sparse_adam", "torch.SparseAdam"),
        ("nn.LazyAdam", "mindspore.LazyAdam or mindspore.LazyAdam.default-target"),
        ("mindspore.nn.Adam", "mindspore.Adam"),
        ("keras.optimizers.legacy.Adam", "keras.legacy.Adam or keras.Adam"),
        ("tensorflow_addons.optimizers.LazyAdam", "tfa.LazyAdam"),
        ("dgl.optim.SparseAdam", "dgl.SparseAdam"),
        ("SparseAdam", "torch.SparseAdam or dgl.SparseAdam"),
    ],
)
def test_a_name_as_users_write_it_gets_its_dialect_suggested(written: str, meant: str) -> None:
    assert near_dialects(written, dialects("full")) == f"did you mean {meant}?"


def test_a_misspelt_name_gets_the_nearest_suggested_and_an_unrelated_one_nothing() -> None:
    assert near_dialects("torch.SparesAdam", dialects("full")).startswith("did you mean torch.SparseAdam")
    assert near_dialects("zzz", dialects("full")) == ""
