from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.clock import MAX_TICKS, from_datetime
from emulator.service.values import (
    LAST_INSTANT,
    agent_instant,
    error_instant,
    etag,
    http_date,
    instant,
    parse_instant,
)
from emulator.spans import UNLIMITED, parse_span, span

LAST = LAST_INSTANT
FIRST = from_datetime(datetime(1, 1, 1, tzinfo=UTC))


def test_an_etag_is_the_ticks_of_last_modified_as_recorded() -> None:
    ticks = parse_instant("2026-01-22T21:43:19.0181625Z")
    assert etag(ticks) == "0x8DE59FF41E3FAF9"
    assert http_date(ticks) == "Thu, 22 Jan 2026 21:43:19 GMT"


@given(st.integers(FIRST, LAST))
def test_an_instant_comes_back_from_its_text(ticks: int) -> None:
    assert parse_instant(instant(ticks)) == ticks
    assert parse_instant(error_instant(ticks)) == ticks
    assert 0 <= ticks - parse_instant(agent_instant(ticks)) < 10


@given(st.integers(FIRST, LAST), st.integers(FIRST, LAST))
def test_instants_are_in_order_as_text_without_their_z(one: int, other: int) -> None:
    assert (one < other) == (instant(one)[:-1] < instant(other)[:-1])


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2025-01-01T00:00:00-08:00", "2025-01-01T08:00:00Z"),
        ("2025-01-01T00:00:00.123456789Z", "2025-01-01T00:00:00.1234567Z"),
        ("2025-01-01T00:00", "2025-01-01T00:00:00Z"),
        ("2024-10-08T16:30:00.5000000Z", "2024-10-08T16:30:00.5Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59.9999999Z", "9999-12-31T23:59:59.9999999Z"),
    ],
)
def test_offsets_and_long_fractions_are_read(text: str, same: str) -> None:
    assert instant(parse_instant(text)) == same


@given(st.integers(0, MAX_TICKS))
def test_a_span_comes_back_from_its_text(ticks: int) -> None:
    assert parse_span(span(ticks)) == ticks


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("P3Y6M4DT12H30M5S", "P1279DT12H30M5S"),
        ("PT01H00M00S", "PT1H"),
        ("PT06M00S", "PT6M"),
        ("PT7M9.497S", "PT7M9.497S"),
        ("PT90S", "PT1M30S"),
        ("P7D", "P7D"),
        ("PT0S", "PT0S"),
        (UNLIMITED, UNLIMITED),
    ],
)
def test_spans_are_canonical_as_recorded(text: str, canonical: str) -> None:
    assert span(parse_span(text)) == canonical


def test_the_longest_span_is_unlimited() -> None:
    assert span(MAX_TICKS) == UNLIMITED


@pytest.mark.parametrize("text", ["", "P", "PT", "1H", "PT1H ", "P1DT", "P99999999999D", "PT1.S"])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|longer"):
        parse_span(text)


def test_what_lies_beyond_the_calendar_is_told_as_its_end() -> None:
    assert instant(LAST_INSTANT + MAX_TICKS) == "9999-12-31T23:59:59.9999999Z"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2025",
        "2025-13-01T00:00:00Z",
        "2025-01-01 00:00:00",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
    ],
)
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_instant(text)
