import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.engine.records import VERSION, Kind, Row
from emulator.errors import LocalStateError
from emulator.store import Store
from tests.emulator.full_disk import no_room

KEYS = st.text(min_size=1, max_size=8).filter(lambda key: "\0" not in key)


def task(job: str, key: str, state: bytes = b"[]") -> Row:
    return Row("task", job, key, b"{}", state)


@given(st.lists(st.tuples(KEYS, KEYS, st.binary(max_size=8), st.booleans())))
def test_what_was_written_last_is_what_is_there(steps: list[tuple[str, str, bytes, bool]]) -> None:
    store = Store(None)
    model: dict[tuple[str, str], bytes] = {}
    for job, key, state, keep in steps:
        removed: list[tuple[Kind, str, str]] = [] if keep else [("task", job, key)]
        store.write([("a", [task(job, key, state)] if keep else [], removed)])
        model.pop((job, key), None)
        if keep:
            model[job, key] = state
    assert {(row.parent, row.key): row.state for row in store.rows("a")} == model
    assert list(store.rows("b")) == []
    store.close()


def test_a_deleted_job_takes_its_tasks_along_and_a_new_one_of_its_name_keeps_its_own() -> None:
    store = Store(None)
    store.write([("a", [Row("job", "", "j", b"{}", b"[]"), task("j", "old"), task("k", "x")], [])])
    again = [Row("job", "", "j", b"{}", b"[]"), task("j", "new")]
    store.write([("a", again, [("job", "", "j")])])
    kept = {(row.kind, row.parent, row.key) for row in store.rows("a")}
    assert kept == {("job", "", "j"), ("task", "j", "new"), ("task", "k", "x")}
    store.close()


def test_all_of_a_change_is_stored_or_nothing() -> None:
    store = Store(None)
    broken = Row("task", "j", "b", b"{}", None)  # type: ignore[arg-type]  # refused by the schema
    with pytest.raises(sqlite3.IntegrityError):
        store.write([("a", [task("j", "a"), broken], [])])
    assert list(store.rows("a")) == []
    store.write([("a", [task("j", "a")], [])])
    assert len(list(store.rows("a"))) == 1
    store.close()


def test_accounts_are_kept_apart_and_go_with_their_records(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put_account("a", b"1")
    store.put_account("b", b"2")
    store.write([("a", [task("j", "t")], []), ("b", [task("j", "t")], [])])
    store.delete_account("a")
    store.close()
    store = Store(tmp_path)
    assert store.accounts() == {"b": b"2"}
    assert (list(store.rows("a")), len(list(store.rows("b")))) == ([], 1)
    store.close()


def test_what_was_written_is_there_though_the_process_was_killed(tmp_path: Path) -> None:
    store = Store(tmp_path / "data")
    store.write([("a", [task("j", "t")], [])])
    # What a killed process leaves: the files as they are now, the log not yet merged.
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in (tmp_path / "data").glob("batch.sqlite3*"):
        (copy / path.name).write_bytes(path.read_bytes())
    survivor = Store(copy)
    assert [row.key for row in survivor.rows("a")] == ["t"]
    survivor.close()
    store.close()


def test_a_file_of_a_newer_emulator_is_refused_and_left_alone(tmp_path: Path) -> None:
    Store(tmp_path).close()
    connection = sqlite3.connect(tmp_path / "batch.sqlite3")
    connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()
    with pytest.raises(LocalStateError, match="newer emulator"):
        Store(tmp_path)
    assert not list(tmp_path.glob("*damaged*"))


def test_a_torn_page_is_found_when_the_file_is_opened(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write([("a", [task("j", f"{n:06}") for n in range(5000)], [])])
    store.close()
    path = tmp_path / "batch.sqlite3"
    content = bytearray(path.read_bytes())
    content[8192:16384] = b"\xff" * 8192
    path.write_bytes(content)
    with pytest.raises(LocalStateError, match="is damaged"):
        Store(tmp_path)
    Store(tmp_path).close()


def test_a_file_that_another_program_holds_is_left_alone(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put_account("a", b"1")
    store.close()
    holder = sqlite3.connect(tmp_path / "batch.sqlite3", isolation_level=None)
    holder.execute("PRAGMA locking_mode = EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(LocalStateError, match=r"database is locked[^$]*Another program has it"):
        Store(tmp_path)
    holder.close()
    store = Store(tmp_path)
    assert store.accounts() == {"a": b"1"}
    store.close()
    assert not list(tmp_path.glob("*damaged*"))


def test_a_full_disk_is_told_and_what_was_stored_stays(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write([("a", [task("j", "kept")], [])])
    big = [task("j", f"{number}", b"x" * 4096) for number in range(64)]
    with no_room(32_768), pytest.raises(LocalStateError, match="cannot be used"):
        store.write([("a", big, [])])
    store.write([("a", [task("j", "after")], [])])
    assert {row.key for row in store.rows("a")} == {"kept", "after"}
    store.close()


def test_a_full_disk_is_not_taken_for_damage_at_the_start(tmp_path: Path) -> None:
    with no_room(100), pytest.raises(LocalStateError, match="cannot be used"):
        Store(tmp_path)
    assert not list(tmp_path.glob("*damaged*"))
    Store(tmp_path).close()


def test_a_directory_that_cannot_be_made_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LocalStateError, match=r"cannot hold the state[^$]*--data DIR"):
        Store(tmp_path / "file" / "data")
