import pytest

from refimpl.common.tables import read_table


def test_a_table_is_read_from_beside_its_module() -> None:
    assert "torch.Adam" in read_table("refimpl.dialects", "torch.yaml")


def test_a_table_that_is_not_there_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        read_table("refimpl.dialects", "nothing.yaml")
