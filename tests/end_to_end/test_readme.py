"""Every command of the README, run as it stands there.

The two commands that run everything have tests of their own: `make demo` in
`test_demo.py`, and `make test` is what runs this. For the commands that go to Azure, the
engine is pointed at the emulator by `python -m emulator env`, which also says where its state
is; `az login` needs a person.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BLOCKS = re.findall(
    r"^```\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL
)
DEMO, TEST, SERVER, LOCAL, AZURE = BLOCKS

pytestmark = [pytest.mark.slow, pytest.mark.engine]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tracked files, with what set-up made: stacks write into the project's folder."""
    target = tmp_path_factory.mktemp("readme") / "clone"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, os.fsdecode(listed.stdout).split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    for made in (".venv", "bootstrap/azurite/node_modules"):
        (target / made).symlink_to(ROOT / made)
    return target


def bash(clone: Path, script: str, **extra: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=clone,
        env={**os.environ, "HPC_LOCAL_DIR": str(clone / ".local"), **extra},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )


@contextmanager
def emulator(clone: Path, *options: str) -> Iterator[None]:
    """The README's first terminal, until Ctrl-C, perhaps with more options."""
    with (clone / "server.log").open("wb") as log:
        process = subprocess.Popen(
            ["bash", "-e", "-c", " ".join([SERVER.rstrip(), *options])],
            cwd=clone,
            env={**os.environ, "HPC_LOCAL_DIR": str(clone / ".local")},
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    assert process.stdout is not None
    ready = process.stdout.readline()
    try:
        assert ready, (clone / "server.log").read_text()
        assert "batch_endpoint" in json.loads(ready)
        yield
    finally:
        os.killpg(process.pid, signal.SIGINT)
        status = process.wait(120)
        process.stdout.close()
    assert status in {0, 130}, (clone / "server.log").read_text()


def test_the_readme_has_the_blocks_that_are_run_here() -> None:
    assert (DEMO, TEST) == ("make demo\n", "make test\n")
    assert SERVER.splitlines()[-1].startswith("python -m emulator serve")
    assert AZURE.splitlines()[1] == "az login"


def test_step_by_step_on_a_laptop_works_as_written(clone: Path) -> None:
    with emulator(clone):
        done = bash(clone, LOCAL)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Black-Scholes" in done.stdout
    assert not (clone / ".local" / "stacks" / "local" / "outputs.json").exists()


def test_the_same_commands_deploy_the_development_stack_and_take_it_down(clone: Path) -> None:
    """As in Azure, without a key: the emulator speaks https and gives tokens."""
    activate, _login, _state, *deploy, run, destroy = AZURE.splitlines()

    def done(*lines: str) -> str:
        script = "\n".join([activate, 'eval "$(python -m emulator env)"', *lines])
        ended = bash(clone, script, PULUMI_SKIP_CONFIRMATIONS="true")
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    with emulator(clone, "--tls"):
        done(*deploy)
        outputs = json.loads(done("pulumi stack output --json --stack dev"))
        assert outputs["authentication"] == "entra"
        assert "Black-Scholes" in done(run)
        done(destroy)
        state = json.loads(done("pulumi stack export --stack dev"))
        assert not state["deployment"].get("resources")


def test_a_new_user_needs_no_account_to_keep_the_state(tmp_path: Path) -> None:
    """Signs in and makes the stack with no more than a passphrase; as written but for the place.

    `--local` is the home directory that the system knows, and not what `HOME` says.
    """
    (tmp_path / "state").mkdir()
    (tmp_path / "passphrase").write_text("correct horse")
    for name in ("Pulumi.yaml", "Pulumi.dev.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    activate, _login, sign_in, init, *_ = AZURE.splitlines()
    assert (sign_in, init) == ("pulumi login --local", "pulumi stack init dev")
    environment = {n: v for n, v in os.environ.items() if not n.startswith("PULUMI_")} | {
        "PULUMI_HOME": str(tmp_path / "home"),
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(tmp_path / "passphrase"),
    }
    sign_in = sign_in.replace("--local", f"file://{tmp_path}/state")
    done = subprocess.run(
        ["bash", "-e", "-c", f"{activate}\n{sign_in}\n{init}"],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "state").glob("**/dev.json"))
