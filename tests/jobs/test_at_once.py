"""How many files go at a time, and for how many there can be descriptors."""

from __future__ import annotations

import resource

import pytest

from jobs.at_once import LARGE_AT_ONCE, SIZES, SMALL_AT_ONCE, SMALL_BYTES, by_size

LARGE = 1 << 30


class Limits:
    """The limits of a process on descriptors, in memory."""

    def __init__(self, soft: int, hard: int, most: int | None = None) -> None:
        self.soft, self.hard, self.most = soft, hard, most

    def get(self, _which: int) -> tuple[int, int]:
        return self.soft, self.hard

    def set(self, _which: int, limits: tuple[int, int]) -> None:
        if self.most is not None and limits[0] > self.most:
            raise ValueError("current limit exceeds maximum limit")
        self.soft, self.hard = limits


def limited(monkeypatch: pytest.MonkeyPatch, limits: Limits) -> Limits:
    monkeypatch.setattr(resource, "getrlimit", limits.get)
    monkeypatch.setattr(resource, "setrlimit", limits.set)
    return limits


def test_few_large_files_and_many_small_ones_go_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limited(monkeypatch, Limits(4096, 4096))
    middle = SIZES[1][0]
    sizes = [0, SMALL_BYTES, SMALL_BYTES + 1, middle, middle + 1, LARGE - 1, LARGE, LARGE + 1]
    many = [size for size in sizes for _ in range(SMALL_AT_ONCE)]
    groups = [(count, set(items)) for count, items in by_size(many, int, large=LARGE)]
    assert groups == [
        (SMALL_AT_ONCE, {0, SMALL_BYTES}),
        (SIZES[1][1], {SMALL_BYTES + 1, middle}),
        (SIZES[2][1], {middle + 1, LARGE - 1}),
        (LARGE_AT_ONCE, {LARGE, LARGE + 1}),
    ]


def test_no_more_go_at_a_time_than_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    limited(monkeypatch, Limits(4096, 4096))
    assert [*by_size([1, 2, LARGE], int, large=LARGE)] == [(2, [1, 2]), (1, [LARGE])]
    assert [*by_size([], int, large=LARGE)] == []


@pytest.mark.parametrize(
    ("limits", "at_once", "soft"),
    [
        (Limits(1024, 4096), 256, 1024),
        (Limits(resource.RLIM_INFINITY, resource.RLIM_INFINITY), 256, resource.RLIM_INFINITY),
        (Limits(256, resource.RLIM_INFINITY), 256, 576),
        (Limits(256, 1024), 256, 576),
        (Limits(256, 300), 118, 300),
        (Limits(256, 1024, most=256), 96, 256),
        (Limits(10, 10), 1, 10),
    ],
)
def test_the_limit_of_descriptors_is_raised_or_kept_to(
    monkeypatch: pytest.MonkeyPatch, limits: Limits, at_once: int, soft: int
) -> None:
    limited(monkeypatch, limits)
    ((found, _),) = by_size([1] * 1000, int, large=LARGE)
    assert (found, limits.soft) == (at_once, soft)
