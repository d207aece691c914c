from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.durations import iso_duration, parse_duration, spoken, spoken_apart


@given(st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(days=10_675_199)))
def test_iso_text_is_read_back(duration: timedelta) -> None:
    whole = timedelta(days=duration.days, seconds=duration.seconds)
    if whole:
        assert parse_duration(iso_duration(whole)) == whole


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("45s", 45),
        ("10m", 600),
        ("1h30m", 5400),
        ("2d", 172_800),
        ("PT10M", 600),
        ("P1DT1S", 86_401),
    ],
)
def test_people_write_durations_so(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "10", "10x", "P", "PT", "1m1h", "-5s", "1.5h", "9" * 30 + "d"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|longer"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.44, "0.4s"),
        (12.4, "12s"),
        (59.9, "1m00s"),
        (185, "3m05s"),
        (7800, "2h10m"),
        (273_600, "3d04h"),
    ],
)
def test_a_person_reads_lengths_so(seconds: float, text: str) -> None:
    assert spoken(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "texts"),
    [
        ([0.3, 0.325, 0.35], ["0.30s", "0.33s", "0.35s"]),
        ([0.0, 0.1, 0.2], ["0.0s", "0.1s", "0.2s"]),
        ([61.0, 61.5, 62.0], ["61.0s", "61.5s", "62.0s"]),
        ([1.5, 2.5, 60.0, 7200.0], ["1.5s", "2.5s", "1m00s", "2h00m"]),
        ([5.0], ["5.0s"]),
        ([5.0, 5.0], ["5.0s", "5.0s"]),
    ],
)
def test_ticks_have_the_digits_that_tell_them_apart(
    seconds: list[float], texts: list[str]
) -> None:
    assert spoken_apart(seconds) == texts


@given(st.floats(0, 1e6), st.floats(1e-5, 1e5), st.integers(2, 40))
def test_equal_steps_have_texts_of_their_own(start: float, step: float, number: int) -> None:
    seconds = [start + step * n for n in range(number)]
    assert len(set(spoken_apart(seconds))) == number
