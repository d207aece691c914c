"""The stack of a job that is there, named anew; and flags that every verb takes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup
from typer.testing import CliRunner, Result

from jobs.cli import app
from jobs.errors import StackError
from jobs.results import Manifest, ResultTree, tree_of, write_json

ACCOUNT = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Batch/batchAccounts/account"
COMMON = {
    "--stack", "-s", "--outputs", "--json", "--quiet", "-q", "--verbose", "-v", "--yes", "-y",
    "--no-input", "--color",
}  # fmt: skip


@pytest.fixture
def tree(
    batch: Any, values: Any, local_state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> ResultTree:
    """A job on stack `gone`, whose estate is called `dev` by now; `prod` is another one."""

    def gone(name: str) -> Any:
        raise StackError(f"stack {name} is gone")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("jobs.stack._pulumi_outputs", gone)
    other = ACCOUNT.replace("/account", "/other")
    for name, account in (("dev", ACCOUNT.upper()), ("prod", other)):
        made = values(batch_endpoint=batch.url, batch_account_id=account)
        write_json(local_state / "stacks" / name / "outputs.json", made)
    batch.answer("POST", "/jobs", json.dumps({"id": "mc", "poolInfo": {"poolId": "p"}}).encode())
    found = tree_of("mc", tmp_path / "results")
    found.write_manifest(
        Manifest(
            job_id="mc", workload="w", stack="gone", outputs=None, plan="p", tasks=3,
            created="2026-11-21T10:00:00Z", account=ACCOUNT,
        )
    )  # fmt: skip
    return found


def run(*words: str, **variables: str) -> Result:
    return CliRunner().invoke(app, [*words], env=variables)


def test_a_job_is_found_by_another_name_of_its_estate(tree: ResultTree) -> None:
    assert run("status").exit_code == 2
    done = run("status", "--stack", "dev", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["job_id"] == "mc"
    outputs = next(tree.root.parents[1].glob("**/dev/outputs.json"))
    assert run("status", "--outputs", str(outputs)).exit_code == 0


@pytest.mark.usefixtures("tree")
@pytest.mark.parametrize(
    "verb", ["status", "cancel", "clean", "wait", "report", "rerun", "resume", "collect"]
)
def test_another_estate_is_never_asked_for_a_job_of_that_name(verb: str, batch: Any) -> None:
    done = run(verb, "mc", "--stack", "prod", "--yes", "--json")
    assert done.exit_code == 2
    message = json.loads(done.stdout)["error"]["message"]
    assert "job mc is in Batch account account, and --stack prod is of account other" in message
    assert not batch.requests


def test_of_an_older_tree_its_own_stack_says_where_the_job_is(
    tree: ResultTree, batch: Any
) -> None:
    manifest = replace(tree.read_manifest(), account="", stack="dev")
    tree.write_manifest(manifest)
    assert "of account other" in run("status", "--stack", "prod").output
    tree.write_manifest(replace(manifest, stack="gone"))
    assert "stack gone is gone" in run("status", "--stack", "dev").output
    assert not batch.requests


def test_a_variable_does_not_change_where_a_job_is(tree: ResultTree, batch: Any) -> None:
    tree.write_manifest(replace(tree.read_manifest(), stack="dev"))
    assert run("status", JOBS_STACK="prod").exit_code == 0
    assert batch.requests


def test_costs_are_those_of_a_stack_where_one_is_named(tree: ResultTree, batch: Any) -> None:
    report = {
        "pool": "cpu", "succeeded": 3, "failed": 0, "unfinished": 0, "task_s": 3.0, "cost": 1.0,
        "currency": "USD", "stages": [],
    }  # fmt: skip
    manifest = tree.read_manifest()
    for job_id, account, stack in (
        ("mc", ACCOUNT, "gone"), ("far", "/other", "dev"), ("old", "", "dev"), ("older", "", "x"),
    ):  # fmt: skip
        found = tree_of(job_id, tree.root.parent)
        found.write_manifest(replace(manifest, job_id=job_id, account=account, stack=stack))
        write_json(found.report_file, report)

    def told(*words: str, **variables: str) -> set[str]:
        done = run("costs", *words, "--json", **variables)
        return {row["of"] for row in json.loads(done.stdout)["rows"]}

    assert told() == {"mc", "far", "old", "older"}
    assert told("--stack", "dev") == {"mc", "old"}
    assert told("mc,far", "--stack", "dev") == {"mc"}
    assert told(JOBS_STACK="dev") == {"mc", "far", "old", "older"}
    assert not batch.requests


def verbs() -> Iterator[tuple[str, Any]]:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    for name, verb in group.commands.items():
        inner = verb.commands.items() if isinstance(verb, TyperGroup) else [("", verb)]
        yield from ((f"{name} {below}".strip(), one) for below, one in inner)


def test_every_verb_takes_the_flags_that_all_take() -> None:
    found = {
        name: {text for parameter in verb.params for text in parameter.opts}
        for name, verb in verbs()
    }
    assert len(found) > 25
    assert {name: COMMON - flags for name, flags in found.items() if COMMON - flags} == {}


def test_a_flag_that_changes_nothing_is_taken_and_not_in_the_help(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text("name: v\npool: cpu\ncommand: echo\n")
    done = run("build", str(tmp_path), "-y", "--no-input", "--stack", "dev", "--json")
    assert done.exit_code == 0, done.output
    told = run("build", "--help").output
    assert "--no-input" not in told
    assert "--stack" not in told


def test_the_completion_is_an_object_where_that_is_asked_for() -> None:
    done = run("completion", "bash", "--json", "-q")
    made = json.loads(done.stdout)
    assert made["shell"] == "bash"
    assert made["script"] == run("completion").stdout


def test_every_verb_has_examples_of_options_that_it_has() -> None:
    for name, verb in verbs():
        told = " ".join((verb.help or "").partition("For example:")[2].split())
        examples = [part.split() for part in told.split("python -m jobs")[1:]]
        assert examples, f"{name} has no example"
        flags = {text for parameter in verb.params for text in parameter.opts}
        for words in examples:
            # `jobs.run` is `jobs run`, and a pipe ends the command
            own = words[: words.index("|")] if "|" in words else words
            own = ["run", *own[1:]] if own[0] == ".run" else own
            assert own[: len(name.split())] == name.split(), f"{name}: {own}"
            given = {word.rstrip(")").partition("=")[0] for word in own if word.startswith("-")}
            assert given - {"-"} <= flags, f"{name}: {own}"
