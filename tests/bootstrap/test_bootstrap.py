"""Set-up on machines that lack things, with a step that fails, and with nothing to do."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bootstrap import __main__ as set_up
from bootstrap import prerequisites, steps
from bootstrap.__main__ import fingerprint

ROOT = Path(__file__).resolve().parents[2]


def run_bootstrap(
    clone: Path, path: Path, home: Path, python: str = sys.executable
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, "-m", "bootstrap"],
        cwd=clone,
        env={"PATH": str(path), "HOME": str(home), "XDG_CACHE_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A fresh clone, as far as set-up looks at it."""
    target = tmp_path / "clone"
    ignore = shutil.ignore_patterns("node_modules", "__pycache__")
    shutil.copytree(ROOT / "bootstrap", target / "bootstrap", ignore=ignore)
    for name in ("requirements.txt", "requirements-dev.txt"):
        shutil.copy(ROOT / name, target)
    return target


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """An empty directory to be the whole of PATH."""
    directory = tmp_path / "programs"
    directory.mkdir()
    return directory


def script(directory: Path, name: str, text: str) -> None:
    (directory / name).write_text(f"#!/bin/sh\n{text}\n")
    (directory / name).chmod(0o755)


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prerequisites, "vendor_is_reached", lambda: False)


@pytest.mark.usefixtures("unreachable")
def test_every_missing_prerequisite_is_told_at_once_with_what_mends_it(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.delenv("CXX", raising=False)
    script(programs, "apt-get", "")
    found = prerequisites.missing(str(programs / "no-pulumi"))
    assert [re.sub(r"[ ,(].*", "", item.what) for item in found] == ["Node.js", "make", "a", "the"]
    assert "sudo apt-get install -y nodejs npm" in found[0].remedy
    assert all(item.why and item.remedy for item in found)


def test_a_machine_without_prerequisites_gets_the_list_and_nothing_is_made(
    clone: Path, programs: Path, tmp_path: Path
) -> None:
    done = run_bootstrap(clone, programs, tmp_path / "home")
    assert done.returncode == 2
    assert "Node.js 18 or newer" in done.stderr
    assert "a C++ compiler" in done.stderr
    assert "Then run the same command again." in done.stderr
    assert not (clone / ".venv").exists()


@pytest.mark.usefixtures("unreachable")
@pytest.mark.parametrize(
    ("program", "output", "told"),
    [
        ("node", "v16.20.2", "this is 16.20.2"),
        ("node", "nonsense", "there is none"),
    ],
)
def test_a_program_that_is_too_old_is_told_with_its_version(
    programs: Path, monkeypatch: pytest.MonkeyPatch, program: str, output: str, told: str
) -> None:
    for name in ("npm", "make", "c++"):
        script(programs, name, "")
    script(programs, "pulumi", "echo v3.999.0")
    script(programs, program, f"echo {output}")
    monkeypatch.setenv("PATH", str(programs))
    (found,) = prerequisites.missing("nowhere")
    assert told in found.why


@pytest.mark.usefixtures("unreachable")
@pytest.mark.parametrize(
    ("version", "usable"), [("v3.259.0", True), ("v3.258.9", False), ("v4.0.0", False)]
)
def test_only_a_pulumi_that_the_pinned_sdk_can_drive_is_taken_from_path(
    programs: Path, monkeypatch: pytest.MonkeyPatch, version: str, usable: bool
) -> None:
    script(programs, "pulumi", f"echo {version}")
    monkeypatch.setenv("PATH", str(programs))
    assert (prerequisites.pulumi_on_path() is not None) is usable


def test_an_old_python_is_told_so_before_anything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 8, 10, "final", 0))
    first = prerequisites.missing(sys.executable)[0]
    assert first.what == "Python 3.11 or newer"


@pytest.mark.parametrize("module", ["__init__", "__main__", "clean", "prerequisites", "steps"])
def test_an_old_python_can_read_the_package_that_tells_it_so(module: str) -> None:
    text = (ROOT / "bootstrap" / f"{module}.py").read_text(encoding="utf-8")
    ast.parse(text, feature_version=(3, 7))


def test_a_set_up_clone_needs_no_program_and_says_nothing(programs: Path, tmp_path: Path) -> None:
    if not (ROOT / ".venv" / ".set-up").exists():
        pytest.fail("run the tests through `make test`, which sets the clone up")
    base = str(Path(sys.base_prefix) / "bin" / "python3")
    done = run_bootstrap(ROOT, programs, tmp_path / "home", python=base)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_environment_finds_the_project_it_is_in_from_anywhere(
    clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its place: a clone that was moved, or that shares the environment, finds its own."""

    def found(python: Path) -> Path:
        (elsewhere := tmp_path / "elsewhere").mkdir(exist_ok=True)
        environment = {n: v for n, v in os.environ.items() if n != "PYTHONPATH"}
        code = "import bootstrap.steps, sys; print(bootstrap.steps.ROOT, sys.path[-1])"
        done = subprocess.run(
            [python, "-c", code],
            cwd=elsewhere,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        root, last = done.stdout.split()
        assert root == last, "what is installed goes before the project"
        return Path(root)

    subprocess.run([sys.executable, "-m", "venv", "--without-pip", clone / ".venv"], check=True)
    monkeypatch.setattr(steps, "ROOT", clone)
    monkeypatch.setattr(steps, "VENV", clone / ".venv")
    assert not steps.everything_is_there()
    steps.link_packages()
    assert found(clone / ".venv" / "bin" / "python") == clone
    second = tmp_path / "second"
    shutil.copytree(clone, second, ignore=shutil.ignore_patterns(".venv"))
    (second / ".venv").symlink_to(clone / ".venv")
    assert found(second / ".venv" / "bin" / "python") == second
    moved = clone.rename(tmp_path / "moved")
    assert found(moved / ".venv" / "bin" / "python") == moved


MODULES = ("jobs", "jobs.run", "emulator", "infra", "autoscale", "scan")


@pytest.mark.slow
@pytest.mark.parametrize("module", MODULES)
def test_the_commands_work_from_the_directory_of_ones_own_project(
    module: str, tmp_path: Path
) -> None:
    """Even where that has directories of the packages' names, which many projects have."""
    for name in ("jobs", "infra", "emulator", "autoscale", "scan"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "job.yaml").write_text("name: mine\n")
    environment = {n: v for n, v in os.environ.items() if n != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-m", module, "--help"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_failing_step_ends_with_its_output_and_what_to_do(
    clone: Path, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(programs, "npm", "echo the network is unreachable >&2; exit 7")
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setattr(steps, "ROOT", clone)
    monkeypatch.setattr(steps, "AZURITE", clone / "bootstrap" / "azurite")
    monkeypatch.setattr(steps, "LOGS", clone / "log")
    with pytest.raises(steps.SetupError) as raised:
        steps.install_azurite()
    text = str(raised.value)
    assert "install Azurite failed with exit status 7" in text
    assert "the network is unreachable" in text
    assert "make setup" in text


def test_an_interruption_at_any_moment_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(set_up, "_is_current", interrupted)
    assert set_up.main() == 130
    assert "to go on: make setup" in capsys.readouterr().err


def test_a_cli_that_was_not_published_whole_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cached = steps.cached_pulumi()

    def interrupted() -> None:
        with steps._staging(cached) as (staging, _publish):
            (staging / "pulumi").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not cached.exists()
    assert list(cached.parent.parent.iterdir()) == []
    with steps._staging(cached) as (staging, publish):
        (staging / "pulumi").write_text("whole")
        publish(staging / "pulumi")
    assert cached.read_text() == "whole"


@pytest.mark.parametrize("name", ["requirements.txt", "bootstrap/pulumi/go.sum"])
def test_a_changed_pin_is_set_up_again(clone: Path, name: str) -> None:
    before = fingerprint(clone)
    with (clone / name).open("a") as stream:
        stream.write("\n# changed\n")
    assert fingerprint(clone) != before


def test_the_cli_the_sdk_and_the_build_are_of_one_version() -> None:
    version = prerequisites.PULUMI_VERSION
    assert f"\npulumi=={version} " in (ROOT / "requirements.txt").read_text()
    modules = (ROOT / "bootstrap" / "pulumi" / "go.mod").read_text()
    assert modules.count(f" v{version}\n") == 2


def test_lock_files_name_no_host() -> None:
    for name in (
        "requirements.txt",
        "requirements-dev.txt",
        "bootstrap/azurite/package-lock.json",
        "bootstrap/pulumi/go.sum",
    ):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert '"resolved"' not in text
        assert "--index-url" not in text
