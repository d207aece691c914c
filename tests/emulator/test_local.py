"""The local state: made whole or not at all, and a damaged file is one clear message."""

from __future__ import annotations

import base64
import json
import stat
from pathlib import Path

import pytest

from emulator.backend import StorageAccounts, read_keys
from emulator.errors import LocalStateError, NotRunningError
from emulator.local import ENV_LOCAL_DIR, LocalDirectory, write_json
from tests.emulator.full_disk import no_room

KEY = base64.b64encode(b"a key").decode()


@pytest.fixture
def local(tmp_path: Path) -> LocalDirectory:
    made = LocalDirectory(tmp_path / "local")
    made.ensure()
    return made


def test_the_variable_names_the_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENV_LOCAL_DIR, str(tmp_path))
    assert LocalDirectory.default().root == tmp_path
    monkeypatch.delenv(ENV_LOCAL_DIR)
    assert LocalDirectory.default().root.name == ".local"


@pytest.mark.parametrize("place", ["a file", "a file/below", "/proc/nowhere"])
def test_a_place_that_cannot_hold_state_is_told_with_the_remedy(
    tmp_path: Path, place: str
) -> None:
    (tmp_path / "a file").write_text("mine")
    with pytest.raises(LocalStateError, match=f"{ENV_LOCAL_DIR}=DIR"):
        LocalDirectory(tmp_path / place).ensure()
    assert (tmp_path / "a file").read_text() == "mine"


def test_keys_are_for_their_owner_alone(local: LocalDirectory) -> None:
    local.write_keys(batch={"local": KEY}, storage={})
    assert stat.S_IMODE(local.keys_file.stat().st_mode) == 0o600
    assert read_keys(local)["batch"] == {"local": KEY}


def test_a_file_that_cannot_be_written_whole_stays_as_it_was(local: LocalDirectory) -> None:
    write_json(local.run_file, {"pid": 1})
    with pytest.raises(TypeError):
        write_json(local.run_file, {"pid": object()})
    with no_room(20), pytest.raises(OSError, match="File too large"):
        write_json(local.run_file, {"pid": "x" * 100})
    assert json.loads(local.run_file.read_text()) == {"pid": 1}
    assert list(local.root.iterdir()) == [local.run_file]


def test_no_run_file_is_no_emulator(local: LocalDirectory) -> None:
    with pytest.raises(NotRunningError, match="python -m emulator serve"):
        local.read_running()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"pid": 1, "color": 2}', "\udcff"])
def test_a_damaged_run_file_is_named(local: LocalDirectory, text: str) -> None:
    local.run_file.write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(LocalStateError, match=r"run\.json is damaged") as raised:
        local.read_running()
    assert "__init__" not in str(raised.value)


@pytest.mark.parametrize("keys", [5, [], {"local": 5}, {"local": "!!"}, {"local": ""}])
def test_keys_that_are_no_keys_are_refused(local: LocalDirectory, keys: object) -> None:
    write_json(local.keys_file, {"batch": keys, "storage": {}})
    with pytest.raises(LocalStateError, match=r"keys\.json is damaged: 'batch'"):
        read_keys(local)


@pytest.mark.parametrize("accounts", [5, None, [1], {"a": 1}])
def test_names_of_accounts_that_are_no_names_are_refused(
    local: LocalDirectory, accounts: object
) -> None:
    names = local.root / "storage-accounts.json"
    write_json(names, {"accounts": accounts})
    with pytest.raises(LocalStateError, match=r"storage-accounts\.json is damaged"):
        StorageAccounts(local, names)
