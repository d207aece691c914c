"""Patterns of output files."""

from __future__ import annotations

import glob
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from emulator.nodes.output_files import expand, matches

NAMES = st.sampled_from(["a", "b.txt", ".h", "x[1]", "abc", "A"])
PARTS = st.sampled_from(["*", "**", "?", "a*", "*.txt", "[!a]*", "[a-c]*", ".*", "a", "x[[]1]"])


@settings(max_examples=150, deadline=None)
@example(files=[["a", "a"]], pattern=["*", "a", "**"])
@given(
    files=st.lists(st.lists(NAMES, min_size=1, max_size=3), max_size=8),
    pattern=st.lists(PARTS, min_size=1, max_size=3),
)
def test_patterns_match_as_globs_do(files: list[list[str]], pattern: list[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for parts in files:
            path = root.joinpath(*parts)
            if any(parent.is_file() for parent in path.parents) or path.exists():
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        text = "/".join(pattern)
        found = glob.glob(text, root_dir=root, recursive=True)  # noqa: PTH207 - the peer
        # Not by a path object: it would take `a/`, which glob gives for `a/**`, for a file `a`.
        expected = {root / each for each in found if os.path.isfile(f"{root}/{each}")}  # noqa: PTH113
        assert {match.path for match in matches(text, root)} == expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("**/*.txt", ["a/b/deep.txt", "a/near.txt", "top.txt"]),
        ("**", ["a/b/deep.txt", "a/near.txt", "top.txt"]),
        ("a/**/*.txt", ["b/deep.txt", "near.txt"]),
        ("*/near.txt/**", []),
    ],
)
def test_two_stars_are_directories_or_none_and_never_a_file(
    tmp_path: Path, pattern: str, expected: list[str]
) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    for name in ("top.txt", "a/near.txt", "a/b/deep.txt"):
        (tmp_path / name).touch()
    assert [match.name for match in matches(pattern, tmp_path)] == expected


def test_links_are_matched_but_no_loop_is_walked(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "again").symlink_to(tmp_path)
    (tmp_path / "real.txt").touch()
    (tmp_path / "link.txt").symlink_to("real.txt")
    os.mkfifo(tmp_path / "pipe.txt")
    found = matches("**/*.txt", tmp_path)
    assert [match.name for match in found] == ["link.txt", "real.txt"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("$A/x", "1/x"),
        ("${A}x", "1x"),
        ("$Ax", "$Ax"),
        ("$B/${C}", "$B/${C}"),
        ("100%$", "100%$"),
    ],
)
def test_variables_are_expanded_before_matching(pattern: str, expected: str) -> None:
    assert expand(pattern, {"A": "1"}) == expected
