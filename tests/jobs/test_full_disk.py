"""No room where results go: one message, an exit code, nothing half made, and a second try."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jobs.contents import ContentCache
from jobs.errors import InputError
from jobs.results import write_json
from jobs.whole_files import replacing

Directory = Any  # the fixture of command_line.py, which importlib mode cannot name
SIZE = 3 << 20
LIMITED = (
    "import resource, runpy, sys\n"
    "limit = int(sys.argv.pop(1))\n"
    "resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))\n"
    "runpy.run_module('jobs', run_name='__main__', alter_sys=True)\n"
)
"""`python -m jobs`, whose files cannot grow beyond a number of bytes."""


def test_a_file_is_the_old_one_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    with replacing(path) as stream:
        stream.write("old")

    def interrupted() -> None:
        with replacing(path) as stream:
            stream.write("half")
            stream.flush()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_a_file_may_have_the_longest_name_and_has_the_mode_of_any_other(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    with replacing(path) as stream:
        stream.write("a name that is no Unicode: \udcff\n")
    assert path.read_bytes() == b"a name that is no Unicode: ?\n"
    other = tmp_path / "other"
    other.touch()
    assert path.stat().st_mode == other.stat().st_mode


def test_a_record_that_finds_no_room_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object, **_options: object) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "report.json"
    write_json(path, {"old": True})
    monkeypatch.setattr("jobs.results.json.dump", full)
    with pytest.raises(InputError, match=r"No space left on device.*--out DIR"):
        write_json(path, {"new": True})
    assert list(tmp_path.iterdir()) == [path]
    assert "old" in path.read_text()


def test_a_cache_that_somebody_else_holds_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path, file = tmp_path / "contents.sqlite", tmp_path / "file"
    file.write_text("1")
    os.utime(file, (1, 1))
    with ContentCache(path):
        pass
    before = path.stat().st_ino

    def connect(*arguments: Any, **options: Any) -> Any:
        return real(*arguments, **{**options, "timeout": 0})

    real = sqlite3.connect
    holder = real(path)
    holder.execute("PRAGMA locking_mode=EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    holder.execute("DELETE FROM contents")
    monkeypatch.setattr("jobs.memory.sqlite3.connect", connect)
    with ContentCache(path) as cache:
        assert cache.look([file])[file].size == 1
    holder.close()
    assert path.stat().st_ino == before
    assert "hashes are not remembered" in caplog.text


@pytest.fixture
def ran(directory: Directory) -> Directory:
    """A directory with a job that is over, and whose results are not here."""
    (directory.path / "input").write_bytes(os.urandom(SIZE))
    directory.write(
        """\
        name: big
        pool: cpu
        inputs: [input]
        command: cp input output
        outputs: [output]
        """
    )
    directory.jobs(
        "run", "job.yaml", "--job-id", f"big-{os.getpid()}-{directory.path.stat().st_ino}"
    )
    (tree,) = (directory.path / "results").iterdir()
    shutil.rmtree(tree / "outputs")
    return directory


@pytest.mark.slow
def test_collecting_without_room_is_told_and_done_again(ran: Directory) -> None:
    command = [sys.executable, "-c", LIMITED, str(SIZE // 2), "collect"]
    failed = subprocess.run(
        command, cwd=ran.path, env=ran.environment, capture_output=True, text=True, check=False
    )
    assert failed.returncode == 2, failed.stderr
    assert "cannot be written: File too large" in failed.stderr
    assert failed.stderr.count("error:") == 1
    assert "Traceback" not in failed.stderr
    left = [path.name for path in (ran.path / "results").rglob("*") if path.is_file()]
    assert "output" not in left
    assert not [name for name in left if name.startswith(".part-")]
    assert ran.json("collect")["fetched"] == 1
    (output,) = (ran.path / "results").glob("*/outputs/*/output")
    assert output.read_bytes() == (ran.path / "input").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["collect", "report"])
def test_a_real_full_disk_is_told_and_done_again(ran: Directory, verb: str) -> None:
    """Results lie on a file system of their own, in a namespace that only the command sees."""
    script = (
        'mv results full && mkdir results && mount -t tmpfs -o size="$0" tmpfs results && '
        "cp -r full/. results/ && rm -r full && head -c 400k /dev/zero > results/filler; "
        '"$@"; echo "exit $?"; rm results/filler; ls -A results/*; '
        'mount -o remount,size=9m results && "$@"; echo "exit $?"; umount results'
    )
    saved = ran.path.parent / "saved"
    shutil.copytree(ran.path / "results", saved)
    jobs = [sys.executable, "-m", "jobs", verb]
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", script, "420k", *jobs],
        cwd=ran.path,
        env=ran.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if "unshare" in done.stderr or "permission denied" in done.stderr:
        pytest.skip("no file system can be mounted here")
    assert done.stdout.count("exit 2") == 1, done.stdout + done.stderr
    assert done.stdout.count("exit 0") == 1, done.stdout + done.stderr
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert ".part-" not in done.stdout
