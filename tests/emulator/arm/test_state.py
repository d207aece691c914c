"""What a killed engine leaves is recognised, and what a living one holds is respected."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from emulator.arm.state import StackState, without_pending
from emulator.arm.store import Document, Store
from emulator.errors import StackError


@pytest.fixture
def state(tmp_path: Path) -> StackState:
    made = StackState(root=tmp_path, project="hpc", stack="local")
    made.locks.mkdir(parents=True)
    made.file.parent.mkdir(parents=True)
    return made


def lock(state: StackState, process: int, host: str | None = None) -> Path:
    path = state.locks / f"{process}.json"
    path.write_text(json.dumps({"pid": process, "hostname": host or socket.gethostname()}))
    return path


def dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_lock_of_a_process_that_is_gone_is_removed(state: StackState) -> None:
    process = dead_process()
    path = lock(state, process)
    path.with_name(f"{path.name}.attrs").write_text("{}")
    assert state.release_stale_locks() == [process]
    assert list(state.locks.iterdir()) == []
    assert state.release_stale_locks() == []


def test_attributes_of_which_only_half_was_written_are_removed(state: StackState) -> None:
    state.file.write_text("{}")
    half = [
        state.file.with_name(f"{state.file.name}.attrs"),
        state.file.with_name(f"{state.file.name}.bak.attrs"),
        state.root / ".pulumi" / "meta.yaml.attrs",
    ]
    for path, text in zip(half, ("", '{"user.content_ty', "{"), strict=True):
        path.write_text(text)
    whole = state.file.with_name("other.json.attrs")
    whole.write_text('{"user.content_type": "application/json"}')
    state.remove_half_attributes()
    assert [path for path in half if path.exists()] == []
    assert whole.exists()
    assert state.file.exists()


def test_a_lock_of_a_process_that_is_no_engine_is_removed(state: StackState) -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        lock(state, process.pid)
        assert state.release_stale_locks() == [process.pid]
        process.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="how a process stands is read from /proc")
def test_a_lock_of_a_process_that_ended_and_was_not_waited_for_is_removed(
    state: StackState,
) -> None:
    with subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.read()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        lock(state, process.pid)
        assert state.release_stale_locks() == [process.pid]


def test_half_a_lock_is_removed(state: StackState) -> None:
    path = state.locks / "half.json"
    path.write_text('{"pid": 1')
    state.release_stale_locks()
    assert not path.exists()


def test_a_lock_from_another_machine_stops_with_its_name(state: StackState) -> None:
    path = lock(state, os.getpid(), "elsewhere")
    with pytest.raises(StackError, match="elsewhere"):
        state.release_stale_locks()
    assert path.exists()


def test_a_lock_of_a_living_engine_stops_with_its_process(state: StackState) -> None:
    script = "import sys; sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", script, "pulumi"], stdin=subprocess.PIPE
    ) as process:
        lock(state, process.pid)
        with pytest.raises(StackError, match=f"kill {process.pid}"):
            state.release_stale_locks()
        process.kill()


def test_operations_under_way_are_counted_and_dropped(state: StackState) -> None:
    assert state.pending_operations() == 0
    latest = {"resources": [], "pending_operations": [{"type": "creating"}]}
    state.file.write_text(json.dumps({"version": 3, "checkpoint": {"latest": latest}}))
    assert state.pending_operations() == 1
    assert without_pending(latest) == {"resources": []}


@pytest.mark.parametrize(
    "content",
    [
        *("", "{", "[]", "null", '{"checkpoint": 3}', '{"checkpoint": {"latest": 3}}'),
        '{"checkpoint": {"latest": {"resources": 3}}}',
        '{"checkpoint": {"latest": {"pending_operations": {"a": 1}}}}',
    ],
)
def test_damaged_state_is_one_error_with_the_remedy(state: StackState, content: str) -> None:
    state.file.write_text(content)
    with pytest.raises(StackError) as caught:
        state.pending_operations()
    assert f"rm '{state.file}'" in str(caught.value)


def test_documents_survive_and_go_with_what_they_are_in(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "arm.db"

    def document(resource_id: str) -> Document:
        return Document(
            id=resource_id, token="t", owner="o", inputs={"a": [1]}, created="c", modified="m"
        )

    store = Store(path)
    for name in ("/a", "/a/b", "/a/b/c", "/ab"):
        store.put(document(name))
    store.close()
    store = Store(path)
    assert store.get("/A/B") == document("/a/b")
    assert [one.id for one in store.below("/a")] == ["/a/b", "/a/b/c"]
    store.delete("/A/b")
    assert [one.id for one in store.all()] == ["/a", "/ab"]
    store.close()
