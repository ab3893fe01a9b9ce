from typing import Any

import numpy as np
import pytest

from refimpl.guide._claims import Claim, agrees, parse, trailing_number


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("0.19", 0.19000000000000003),
        ("0.2", 0.19),
        ("3.16", 10**0.5),
        ("1,024", 1024.0),
        ("-0.5", np.float32(-0.5)),
        ("−0.5", -0.5),
        ("1.4e-5", 1.3551e-5),
        ("6e-8", 2.0**-24),
        ("12", np.int64(12)),
        ("0.30", 0.3),
        ("1e300", 1e300),
        ("4.9e-324", 5e-324),
    ],
)
def test_a_number_agrees_with_what_rounds_to_it(written: str, value: Any) -> None:
    assert agrees(written, value)


@pytest.mark.parametrize(
    ("written", "value"),
    [("0.19", 0.1951), ("0.190", 0.1906), ("3", 3.6), ("1.4e-5", 1.3e-5), ("0.5", -0.5), ("0", float("nan")), ("1", float("inf"))],
)
def test_a_number_that_is_off_in_its_last_digit_does_not_agree(written: str, value: Any) -> None:
    assert not agrees(written, value)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("it rises to 0.19", "0.19"),
        ("about 1.2e-7", "1.2e-7"),
        ("by -0.5", "-0.5"),
        ("of 10,000", "10,000"),
        ("(3", "3"),
        ("v2", None),
        ("none", None),
    ],
)
def test_the_number_at_the_end_of_a_text_is_found_as_it_is_written(text: str, number: str | None) -> None:
    assert trailing_number(text) == number


def test_a_comment_is_a_claim_only_by_its_sign() -> None:
    assert parse("<!--= m[2] -->") == Claim("=", "m[2]")
    assert parse("<!--? a < b -->") == Claim("?", "a < b")
    assert parse("<!-- a remark -->") is None
