"""Exceptions cover what they name, for a reason, and only as long as it is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from scan.checkov import Failure
from scan.errors import ExceptionsError
from scan.exceptions import Exempted, judge, read_exceptions
from scan.stacks import scanned_stacks

OPEN = Failure(check="CKV_AZURE_59", resource="dev/storage:StorageAccount/hpcdevdata", title="t")
ELSEWHERE = Failure(
    check="CKV_AZURE_59", resource="prod/storage:StorageAccount/hpcproddata", title="t"
)
STACKS = ("dev", "prod")


def excepting(*patterns: str, check: str = "CKV_AZURE_59") -> Exempted:
    return Exempted(check=check, resources=patterns, reason="People stage from their machines.")


def test_what_nothing_excepts_is_new() -> None:
    verdict = judge([OPEN, ELSEWHERE], [excepting("dev/*/*data")], scanned=STACKS)
    assert verdict.new == (ELSEWHERE,)
    assert [one.failure for one in verdict.excepted] == [OPEN]
    assert not verdict.is_clean


def test_an_exception_is_of_its_check_alone() -> None:
    verdict = judge([OPEN], [excepting("dev/*/*", check="CKV_AZURE_35")], scanned=STACKS)
    assert verdict.new == (OPEN,)
    assert len(verdict.stale) == 1


def test_an_exception_that_meets_nothing_is_told_of_pattern_by_pattern() -> None:
    verdict = judge([OPEN], [excepting("dev/*/*data", "dev/*/*apps")], scanned=STACKS)
    assert not verdict.new
    assert [one.pattern for one in verdict.stale] == ["dev/*/*apps"]
    assert not verdict.is_clean


def test_of_some_stacks_only_their_own_exceptions_can_be_stale() -> None:
    exceptions = [excepting("*/*/*apps", "prod/*/*data", "dev/*/*logs")]
    verdict = judge([], exceptions, scanned=("dev",), complete=False)
    assert [one.pattern for one in verdict.stale] == ["dev/*/*logs"]


def test_all_that_is_found_and_excepted_is_clean() -> None:
    assert judge([OPEN, ELSEWHERE], [excepting("*/*/*data")], scanned=STACKS).is_clean


def test_the_file_excepts_in_stacks_that_there_are() -> None:
    for one in read_exceptions():
        for pattern in one.resources:
            stack = pattern.partition("/")[0]
            assert stack in {*scanned_stacks(), "*"}, f"{one.check}: {pattern}"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- {check: CKV_AZURE_1, resources: [a/b/c]}", "0.reason"),
        (
            "- {check: CKV_AZURE_1, resources: [], reason: 'x y z x y z x y z x y z'}",
            "0.resources",
        ),
        ("- {check: AZURE1, resources: [a/b/c], reason: 'x y z x y z x y z x y'}", "0.check"),
        ("- {check: CKV_AZURE_1, resources: [c], reason: 'x y z x y z x y z x y'}", "0.resources"),
        ("- [", "not YAML"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "exceptions.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ExceptionsError, match=told):
        read_exceptions(file)


def test_a_missing_file_is_told_by_name(tmp_path: Path) -> None:
    with pytest.raises(ExceptionsError, match=r"gone\.yaml cannot be read"):
        read_exceptions(tmp_path / "gone.yaml")
