"""A few thousand of the inputs of `benchmarks/autoscale_fuzz.py`, which tries a million."""

from __future__ import annotations

import pytest

from benchmarks import autoscale_fuzz


@pytest.mark.parametrize("seed", [2, 3])
def test_nothing_but_the_packages_own_errors_comes_of_any_text(seed: int) -> None:
    figures = autoscale_fuzz.run(1000, seed)
    assert figures.inputs == 1000
    assert figures.parsed > 20
    assert figures.checked == 100
