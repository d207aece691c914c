from __future__ import annotations

import math

import pytest

from jobs.consent import NEVER_ASKED, Consent
from jobs.errors import InputError


@pytest.mark.parametrize("above", [math.nan, math.inf, -1.0])
def test_what_no_price_can_be_held_against_is_refused(above: float) -> None:
    with pytest.raises(InputError, match=r"--confirm-above .* is no amount"):
        Consent(above=above)


def test_no_amount_means_that_nobody_is_asked() -> None:
    assert NEVER_ASKED.above is None
    assert Consent(above=0.0).above == 0
