"""The pipeline's scripts, run for real in a project whose tools only write down their call."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pipelines.definition import ROOT

SCRIPTS = sorted(
    path.stem for path in (ROOT / "pipelines").glob("*.sh") if path.stem != "environment"
)

TOOL = """#!{python}
import json, os, sys
name = os.path.basename(sys.argv[0])
if name == "az":
    print("the-subscription")
with open(os.environ["CALLS"], "a") as stream:
    arm = {{key: value for key, value in os.environ.items() if key.startswith("ARM_")}}
    json.dump([[name, *sys.argv[1:]], os.getcwd(), arm, os.getpid()], stream)
    stream.write("\\n")
sys.exit(int(os.environ.get("STATUS", "0")))
"""


class Project:
    """A copy of `pipelines/` with tools that write down how they were called."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log = root / "calls.jsonl"
        (root / "pipelines").mkdir(parents=True)
        for script in (ROOT / "pipelines").glob("*.sh"):
            copy = root / "pipelines" / script.name
            copy.write_text(script.read_text("utf-8"), "utf-8")
            copy.chmod(0o755)

    def add_tools(self, directory: Path) -> None:
        directory.mkdir(parents=True)
        for name in ("python", "pulumi", "az"):
            tool = directory / name
            tool.write_text(TOOL.format(python=sys.executable))
            tool.chmod(0o755)

    def run(self, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs a script from another directory than the project's."""
        tools = self.root / "tools"
        if not tools.exists():
            self.add_tools(tools)
        self.log.unlink(missing_ok=True)
        return subprocess.run(
            [self.root / "pipelines" / f"{script}.sh"],
            cwd="/",
            env={"PATH": f"{tools}:{os.defpath}", "CALLS": str(self.log), **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    def calls(self) -> list[tuple[list[str], str, dict[str, str], int]]:
        return [tuple(json.loads(line)) for line in self.log.read_text().splitlines()]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "a project")


def lines_of(project: Project) -> list[str]:
    return [" ".join(call) for call, *_ in project.calls()]


def test_on_a_laptop_the_defaults_are_the_local_stack_and_monte_carlo(project: Project) -> None:
    job = "workloads/montecarlo/job.yaml"
    expected = {
        "preview": [
            "python -m infra check --stack local",
            "python -m emulator stack preview --stack local",
        ],
        "deploy": ["python -m emulator stack up --stack local"],
        "compile": [f"python -m jobs build {job}"],
        "publish": [f"python -m jobs stage {job} --stack local --programs"],
        "load_data": [f"python -m jobs stage {job} --stack local --inputs"],
        "run_job": [f"python -m jobs.run {job} --stack local --out results"],
        "collect": [
            "python -m jobs collect last --out results",
            "python -m jobs report last --out results",
        ],
    }
    assert sorted(expected) == SCRIPTS
    for script, lines in expected.items():
        done = project.run(script)
        assert done.returncode == 0, done.stderr
        assert lines_of(project) == lines


def test_in_azure_the_engine_is_pulumi(project: Project) -> None:
    assert project.run("preview", STACK="dev").returncode == 0
    assert lines_of(project) == [
        "python -m infra check --stack dev",
        "pulumi preview --stack dev --non-interactive --diff",
    ]
    assert project.run("deploy", STACK="dev").returncode == 0
    assert lines_of(project) == ["pulumi up --stack dev --non-interactive --yes --skip-preview"]


def test_the_federated_token_reaches_pulumi_and_no_command_line(project: Project) -> None:
    done = project.run(
        "deploy", STACK="dev", idToken="ey-token", servicePrincipalId="the-client", tenantId="t"
    )
    assert done.returncode == 0, done.stderr
    [az, pulumi] = project.calls()
    assert az[0][:3] == ["az", "account", "show"]
    assert pulumi[2] == {
        "ARM_USE_OIDC": "true",
        "ARM_OIDC_TOKEN": "ey-token",
        "ARM_CLIENT_ID": "the-client",
        "ARM_TENANT_ID": "t",
        "ARM_SUBSCRIPTION_ID": "the-subscription",
    }
    assert "ey-token" not in " ".join([*az[0], *pulumi[0], done.stdout, done.stderr])


@pytest.mark.parametrize("script", SCRIPTS)
def test_values_with_blanks_and_quotes_stay_one_argument(project: Project, script: str) -> None:
    hostile = {"WORKLOAD": "work 'n\" $(x)/*.yaml", "STACK": "a b", "RESULTS": "out; put"}
    assert project.run(script, **hostile).returncode == 0
    for call, *_ in project.calls():
        values = [argument for argument in call if set(argument) & set(" '\"$;*")]
        assert set(values) <= set(hostile.values())


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_status_of_the_first_command_that_fails_is_the_scripts(
    project: Project, script: str
) -> None:
    for status in ("1", "3", "130"):
        assert project.run(script, STATUS=status).returncode == int(status)
        assert len(project.calls()) == 1


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_work_from_the_projects_root_with_its_own_tools(
    project: Project, script: str
) -> None:
    project.add_tools(project.root / ".venv" / "bin")
    done = project.run(script, PATH=os.defpath)
    assert done.returncode == 0, done.stderr
    assert {directory for _, directory, *_ in project.calls()} == {str(project.root)}


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_last_command_takes_the_scripts_place_and_gets_its_signals(
    project: Project, script: str
) -> None:
    tools = project.root / "tools"
    project.add_tools(tools)
    for stack in ("local", "dev"):
        process = subprocess.Popen(
            [project.root / "pipelines" / f"{script}.sh"],
            env={"PATH": f"{tools}:{os.defpath}", "CALLS": str(project.log), "STACK": stack},
        )
        assert process.wait() == 0
        assert project.calls()[-1][3] == process.pid


def test_a_failed_sign_in_deploys_nothing(project: Project) -> None:
    done = project.run(
        "deploy", STACK="dev", idToken="x", servicePrincipalId="y", tenantId="z", STATUS="1"
    )
    assert done.returncode == 1
    assert [call[0] for call, *_ in project.calls()] == ["az"]
