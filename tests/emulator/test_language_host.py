"""A plain `pulumi up` through the project's own Python language host."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pulumi.runtime.proto import language_pb2

from emulator.language_host import PythonLanguageHost

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.engine


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "Pulumi.yaml").write_text("name: tiny\nruntime: python\n")
    (tmp_path / "bin").mkdir()
    host = tmp_path / "bin" / "pulumi-language-python"
    host.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        "from emulator.language_host import main\nmain()\n"
    )
    host.chmod(0o755)
    return tmp_path


def pulumi(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = (str(project / "bin"), str(Path(sys.executable).parent), os.environ["PATH"])
    return subprocess.run(
        ["pulumi", *arguments, "--non-interactive", "--cwd", str(project)],
        env={
            "HOME": str(project),
            "PATH": os.pathsep.join(path),
            "PULUMI_BACKEND_URL": project.as_uri(),
            "PULUMI_HOME": str(project / "home"),
            "PULUMI_CONFIG_PASSPHRASE": "for this test alone",
            "PULUMI_SKIP_UPDATE_CHECK": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_engine_runs_a_program_with_its_config_through_the_host(project: Path) -> None:
    (project / "__main__.py").write_text(
        "import pulumi\nimport beside\n"
        'pulumi.export("doubled", beside.double(pulumi.Config().require_int("number")))\n'
    )
    (project / "beside.py").write_text("def double(number):\n    return 2 * number\n")
    assert pulumi(project, "stack", "init", "test").returncode == 0
    assert pulumi(project, "config", "set", "number", "21").returncode == 0
    up = pulumi(project, "up", "--yes", "--stack", "test")
    assert up.returncode == 0, up.stdout + up.stderr
    assert "Traceback" not in up.stdout + up.stderr
    outputs = pulumi(project, "stack", "output", "--json", "--stack", "test")
    assert json.loads(outputs.stdout) == {"doubled": 42}


def test_an_error_of_the_program_fails_the_update_with_its_traceback(project: Path) -> None:
    (project / "__main__.py").write_text('raise RuntimeError("the program is wrong")\n')
    assert pulumi(project, "stack", "init", "test").returncode == 0
    preview = pulumi(project, "preview", "--stack", "test")
    assert preview.returncode != 0
    assert "the program is wrong" in preview.stdout + preview.stderr


def pack(project: Path, body: str, options: str = "") -> Path:
    """A policy pack of a text, to be run by this Python unless the options name another."""
    directory = project / "pack"
    directory.mkdir()
    (directory / "PulumiPolicy.yaml").write_text(f"name: p\nruntime:\n  name: python\n{options}")
    (directory / "__main__.py").write_text(body)
    (project / "__main__.py").write_text("")
    assert pulumi(project, "stack", "init", "test").returncode == 0
    return directory


def test_a_policy_pack_that_ends_is_told_with_what_it_said(project: Path) -> None:
    directory = pack(project, "import sys\nsys.exit('the pack has a mistake')\n")
    preview = pulumi(project, "preview", "--stack", "test", "--policy-pack", str(directory))
    assert preview.returncode != 0
    assert "the pack has a mistake" in preview.stdout + preview.stderr


def test_a_policy_pack_without_its_environment_is_told_by_name(project: Path) -> None:
    options = "  options:\n    virtualenv: venv\n"
    directory = pack(project, "raise AssertionError('another Python ran this')\n", options)
    preview = pulumi(project, "preview", "--stack", "test", "--policy-pack", str(directory))
    told = preview.stdout + preview.stderr
    assert preview.returncode != 0
    assert "pack/venv/bin/python is not there" in told
    assert "another Python" not in told


def test_a_plugin_that_the_engine_no_longer_wants_when_it_is_started_ends(tmp_path: Path) -> None:
    (tmp_path / "__main__.py").write_text("import time\ntime.sleep(1000)\n")
    info = language_pb2.ProgramInfo(program_directory=str(tmp_path), entry_point=".")
    request = language_pb2.RunPluginRequest(pwd=str(tmp_path), info=info)
    gone: Any = SimpleNamespace(add_callback=lambda _callback: False)
    *_, last = PythonLanguageHost().RunPlugin(request, gone)
    assert last.exitcode == -signal.SIGKILL
