"""What must hold of `azure-pipelines.yml`, whatever its steps do."""

from __future__ import annotations

import os
import re
from typing import Any

import pytest

from tests.pipelines.definition import FILE, ROOT, compiled, raw, steps, strings

PREDEFINED = ("Agent.", "Build.", "Pipeline.", "System.")
NEEDS_AZURE = {"preview", "deploy", "publish", "load_data", "run_job", "collect"}


@pytest.fixture(scope="module")
def pipeline() -> dict[str, Any]:
    return compiled()


def everything(pipeline: dict[str, Any]) -> list[Any]:
    return [pipeline, *(step.body for step in steps(pipeline))]


def test_every_script_step_is_a_script_or_a_make_target_that_exists(
    pipeline: dict[str, Any],
) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    scripts = [step.script for step in steps(pipeline) if step.script is not None]
    assert len(scripts) > 10
    for script in scripts:
        if script.startswith("make "):
            assert script.split()[1] in targets
        else:
            path = ROOT / script
            assert path.is_file(), script
            assert path.parent == ROOT / "pipelines"
            assert os.access(path, os.X_OK), f"{script} is not executable"


def test_every_script_is_used_by_a_step(pipeline: dict[str, Any]) -> None:
    used = {step.script for step in steps(pipeline)}
    there = {f"pipelines/{path.name}" for path in (ROOT / "pipelines").glob("*.sh")}
    assert there - {"pipelines/environment.sh"} <= used


def test_every_variable_that_is_used_is_declared(pipeline: dict[str, Any]) -> None:
    text = "\n".join(text for part in everything(pipeline) for text in strings(part))
    used = set(re.findall(r"\$\(([\w.]+)\)", text))
    assert {name for name in used if not name.startswith(PREDEFINED)} <= set(pipeline["variables"])
    in_conditions = set(re.findall(r"variables\['([\w.]+)'\]", text))
    assert in_conditions
    assert all(name.startswith(PREDEFINED) for name in in_conditions)


def test_every_parameter_is_declared_with_a_default_and_used(pipeline: dict[str, Any]) -> None:
    used = set(re.findall(r"\$\{\{\s*parameters\.(\w+)\s*\}\}", FILE.read_text("utf-8")))
    assert used == {parameter["name"] for parameter in raw()["parameters"]}
    assert all(parameter["default"] for parameter in raw()["parameters"])
    assert not any("${{" in text for text in strings(pipeline))


def test_what_scripts_have_defaults_for_the_pipeline_declares(pipeline: dict[str, Any]) -> None:
    environment = (ROOT / "pipelines" / "environment.sh").read_text("utf-8")
    defaults = re.findall(r'^: "\$\{(\w+):=', environment, re.MULTILINE)
    assert {"STACK", "WORKLOAD", "RESULTS"} == set(defaults) <= set(pipeline["variables"])


def test_there_is_no_secret_and_nothing_to_keep_one_in(pipeline: dict[str, Any]) -> None:
    telling = re.compile(r"password|secret|accesstoken|sas|passphrase|_key", re.IGNORECASE)
    for part in everything(pipeline):
        assert [text for text in strings(part) if telling.search(text)] == []
    assert isinstance(pipeline["variables"], dict), "a list could name a variable group"


def test_steps_that_need_azure_sign_in_by_the_service_connection(pipeline: dict[str, Any]) -> None:
    connection = next(p for p in raw()["parameters"] if p["name"] == "serviceConnection")
    signed_in = set()
    for step in steps(pipeline):
        if step.body.get("task") == "AzureCLI@2":
            inputs = step.body["inputs"]
            assert inputs["azureSubscription"] == connection["default"]
            assert inputs["scriptLocation"] == "scriptPath"
            name = inputs["scriptPath"].removeprefix("pipelines/").removesuffix(".sh")
            assert inputs.get("addSpnToEnvironment", False) == (name in {"preview", "deploy"})
            signed_in.add(name)
    assert signed_in == NEEDS_AZURE


def test_stages_depend_on_earlier_ones_in_the_order_of_a_deployment(
    pipeline: dict[str, Any],
) -> None:
    before: dict[str, set[str]] = {}
    for stage in pipeline["stages"]:
        needs = stage["dependsOn"]
        direct = {needs} if isinstance(needs, str) else set(needs)
        assert direct <= before.keys(), stage["stage"]
        before[stage["stage"]] = direct.union(*(before[name] for name in direct))
    assert before["check"] == set()
    assert before["preview"] == {"check"}
    assert before["deploy"] == {"check", "preview"}
    assert before["program"] == before["data"] == {"check", "preview", "deploy"}
    assert before["run"] == {"check", "preview", "deploy", "program", "data"}


def test_only_main_is_deployed_and_through_an_environment(pipeline: dict[str, Any]) -> None:
    [deploy] = [stage for stage in pipeline["stages"] if stage["stage"] == "deploy"]
    assert deploy["condition"] == (
        "and(succeeded(), eq(variables['Build.SourceBranch'], 'refs/heads/main'))"
    )
    assert all(job["environment"] == "hpc-dev" for job in deploy["jobs"])
    # A stage with a condition of its own could run although the deployment did not.
    for stage in pipeline["stages"]:
        assert stage["stage"] in {"preview", "deploy"} or "condition" not in stage


def test_every_job_checks_out_and_sets_up_first(pipeline: dict[str, Any]) -> None:
    for stage in pipeline["stages"]:
        for job in stage["jobs"]:
            first, *_ = job.get("steps") or job["strategy"]["runOnce"]["deploy"]["steps"]
            assert first == {"template": "pipelines/set_up.yml"}


def test_an_artifact_is_published_before_it_is_taken(pipeline: dict[str, Any]) -> None:
    published: list[str] = []
    taken = []
    for step in steps(pipeline):
        if "publish" in step.body:
            published.append(step.body["artifact"])
        if "download" in step.body:
            assert step.body["artifact"] in published
            taken.append(step.body["artifact"])
    assert published == ["program", "results"]
    assert taken == ["program"]


def test_results_are_kept_of_a_run_that_failed(pipeline: dict[str, Any]) -> None:
    run = [step.body for step in steps(pipeline) if step.stage == "run"]
    scripts = [body.get("inputs", {}).get("scriptPath") for body in run]
    after = run[scripts.index("pipelines/run_job.sh") + 1 :]
    assert len(after) == 2
    assert all(body["condition"] == "succeededOrFailed()" for body in after)
