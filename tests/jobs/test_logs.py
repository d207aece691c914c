from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jobs import logs
from jobs.selection import parse_selection


@given(st.lists(st.binary(max_size=8).map(lambda b: b.replace(b"x", b"\n"))))
def test_lines_do_not_depend_on_how_their_bytes_arrive(pieces: list[bytes]) -> None:
    def read(arriving: list[bytes]) -> list[str]:
        splitter = logs._Lines("t", "stdout")
        found = [line.text for piece in arriving for line in splitter.add(piece)]
        return found + [line.text for line in splitter.end()]

    whole = b"".join(pieces)
    assert read(pieces) == read([whole])
    assert len(read(pieces)) == whole.count(b"\n") + (not whole.endswith(b"\n") and whole != b"")


def test_a_log_that_ends_without_a_newline_has_its_last_line_and_no_carriage_returns() -> None:
    splitter = logs._Lines("t", "stderr")
    assert [line.text for line in splitter.add(b"a\r\nb")] == ["a"]
    assert [line.text for line in splitter.end()] == ["b"]
    assert splitter.size == 4


def test_few_positions_are_asked_for_by_name_and_many_are_not() -> None:
    condition = logs._condition(parse_selection("3,5"))
    assert condition == "startswith(id,'0000003-') or startswith(id,'0000005-')"
    assert logs._condition(parse_selection("0-999")) == ""
    assert logs._condition(parse_selection("failed")) == "state eq 'completed'"
