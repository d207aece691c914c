# ruff: noqa: E501, ISC004 - whole messages are what is compared
import json
from datetime import timedelta
from pathlib import Path
from textwrap import dedent

import pytest

from jobs.errors import WorkloadError
from jobs.loading import LoadedWorkload, load_workload
from jobs.spec import SCHEMA_FILE, schema_text

HELLO = "name: hello\npool: cpu\ncommand: echo hello {index}\ntasks: 3\n"


def load(directory: Path, text: str, *overrides: str) -> LoadedWorkload:
    path = directory / "job.yaml"
    path.write_text(dedent(text), encoding="utf-8")
    return load_workload(path, overrides)


def findings(directory: Path, text: str, *overrides: str) -> list[str]:
    with pytest.raises(WorkloadError) as caught:
        load(directory, text, *overrides)
    return [str(finding).rpartition("job.yaml:")[2] for finding in caught.value.findings]


def test_hello_world_is_four_lines(tmp_path: Path) -> None:
    spec = load(tmp_path, HELLO).spec
    assert spec.command == ("echo", "hello", "{index}")
    assert spec.tasks[0].repeat == 3
    assert spec.resources.slots == 1


def test_a_duration_without_a_unit_is_in_seconds(tmp_path: Path) -> None:
    loaded = load(tmp_path, HELLO + "resources: {wall_clock: 90}\n")
    assert loaded.spec.resources.wall_clock == timedelta(seconds=90)
    (told,) = json.loads(schema_text())["$defs"]["Resources"]["properties"]["wall_clock"]["anyOf"][
        :1
    ]
    assert "number" in told["type"], "an editor does not call it wrong"


def test_a_directory_means_its_job_yaml(tmp_path: Path) -> None:
    load(tmp_path, HELLO)
    assert load_workload(tmp_path).spec.name == "hello"


def test_the_published_schema_is_fresh() -> None:
    assert SCHEMA_FILE.read_text(encoding="utf-8") == schema_text(), (
        "refresh it: python -m jobs.spec > jobs/workload.schema.json"
    )


def test_every_key_of_the_schema_is_explained() -> None:
    schema = json.loads(schema_text())
    for model in [schema, *schema["$defs"].values()]:
        for name, member in model["properties"].items():
            assert "description" in member or name == "name", name


def test_all_errors_appear_together_each_with_its_line(tmp_path: Path) -> None:
    assert findings(
        tmp_path,
        """\
        name: 9bad
        pool: cpu
        comand: foo
        command: "a {x"
        tasks:
          swep: {x: [1]}
        outputs:
          - ../x
        resources: {slots: "2", wall_clock: 10x}
        """,
    ) == [
        "1: name: must match ^[A-Za-z][A-Za-z0-9-]{0,39}$",
        "3: comand: is not a known key; did you mean 'command'?",
        "4: command: stray '{' in '{x': a placeholder is {name}, a literal brace is written twice",
        "6: tasks.swep: is not a known key; did you mean 'sweep'?",
        "8: outputs[0]: '../x' must be a relative path with `/`, without `..`: "
        "it is a place below the task's working directory",
        '9: resources.slots: should be a whole number, not "2"',
        "9: resources.wall_clock: '10x' is no duration: write it like 45s, 10m, 1h30m, 2d or PT10M",
    ]


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("pool: cpu\ncommand: a\n", "1: name: is missing"),
        (HELLO + "script: x\n", "1: needs exactly one of command, script, and has command and script"),
        ("name: a\npool: b\n", "1: needs exactly one of command, script, and has none"),
        (HELLO + "program: {}\n", "5: program: has neither files, build nor application: leave `program` out instead"),
        (HELLO.replace("3", "0"), "4: tasks: should be greater than or equal to 1"),
        (
            HELLO.replace("3", "{repeat: 2, csv: x}"),
            "4: tasks: needs exactly one of repeat, sweep, zip, list, csv, jsonl, files, blobs, random, generator, and has repeat and csv",
        ),
        (
            HELLO.replace("3", "{list: [{a: 1}, {b: 2}]}"),
            "4: tasks: list: all sets of values must have the same names",
        ),
        (HELLO.replace("3", "{sweep: {x: {range: [0, 1, 0]}}}"), "4: tasks.sweep.x: range: the step is 0"),
        (HELLO.replace("echo", "it's"), "3: command: cannot be split into arguments: No closing quotation"),
        (HELLO + "inputs: [7]\n", "5: inputs[0]: should be text or a mapping of keys to values, not 7"),
        (HELLO + "tasks: x\n", "5: tasks: is given twice (first on line 4)"),
        (HELLO.replace("3", "yes please"), '4: tasks: should be a number, a factory or a list, not "yes please"'),
        (HELLO + 'variables: {A: "x\\0y"}\n', "5: variables.A: holds a NUL character, which no operating system passes on"),
        (HELLO + 'environment: {A: "x\\0y"}\n', "5: environment.A: holds a NUL character, which no operating system passes on"),
    ],
)  # fmt: skip
def test_a_wrong_file_says_where_and_what(tmp_path: Path, text: str, finding: str) -> None:
    assert findings(tmp_path, text) == [finding]


def test_variables_are_replaced_and_keep_their_type(tmp_path: Path) -> None:
    text = """\
        name: v
        pool: cpu
        variables: {n: 10, x: 0.5, who: me, fast: true}
        command: echo {who} {x} {fast}
        tasks: {sweep: {i: {range: [0, "{n}"]}}}
        """
    spec = load(tmp_path, text, "n=20", "x=2", "who=7", "fast=false").spec
    sweep = spec.tasks[0].sweep
    assert sweep is not None
    assert sweep["i"].range == (0, 20)
    assert spec.variables == {"n": 20, "x": 2, "who": "7", "fast": False}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("m=1", "--set m=1: the file has no variable 'm', it has: n"),
        ("n", "--set n: write it as NAME=VALUE"),
        ("n=x", "--set n=x: n is a whole number in the file, 'x' is not"),
    ],
)
def test_a_wrong_override_says_why(tmp_path: Path, override: str, message: str) -> None:
    assert findings(tmp_path, HELLO + "variables: {n: 1}\n", override)[0].startswith(message)
