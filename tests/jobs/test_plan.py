from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from jobs.checking import check
from jobs.contents import ContentCache
from jobs.errors import InputError, WorkloadError
from jobs.loading import LoadedWorkload
from jobs.plan import JobPlan, plan, tags_of
from jobs.stack import Stack, parse_stack
from jobs.stage import contents_of

MakeWorkload = Callable[..., LoadedWorkload]
HEAD = "name: n\npool: cpu\n"


def planned(workload: LoadedWorkload, stack: Stack, job_id: str = "job-1") -> JobPlan:
    checked = check(workload, stack)
    with ContentCache(None) as cache:
        return plan(checked, contents_of(checked, cache), job_id=job_id)


def bodies(job: JobPlan) -> list[dict[str, Any]]:
    return [json.loads(task.body) for task in job.tasks()]


def arguments(task: dict[str, Any]) -> list[str]:
    return shlex.split(task["commandLine"])


GOLDEN = """\
{
  "id": "0000001-TASKHASHTASK",
  "commandLine": "./solve --x 2 'data set.csv' out-1.txt",
  "resourceFiles": [
    {
      "httpUrl": "http://127.0.0.1:2/data/programs/sha256/PROGRAM",
      "filePath": "solve",
      "fileMode": "0755",
      "identityReference": {
        "resourceId": "/subscriptions/s/resourceGroups/g/providers/identity/nodes"
      }
    },
    {
      "httpUrl": "http://127.0.0.1:2/data/inputs/sha256/DATA",
      "filePath": "data set.csv",
      "fileMode": "0644",
      "identityReference": {
        "resourceId": "/subscriptions/s/resourceGroups/g/providers/identity/nodes"
      }
    }
  ],
  "outputFiles": [
    {
      "filePattern": "../stdout.txt",
      "destination": {
        "container": {
          "containerUrl": "http://127.0.0.1:2/data/logs",
          "path": "job-1/0000001-TASKHASHTASK/stdout.txt",
          "identityReference": {
            "resourceId": "/subscriptions/s/resourceGroups/g/providers/identity/nodes"
          }
        }
      },
      "uploadOptions": {
        "uploadCondition": "taskcompletion"
      }
    },
    {
      "filePattern": "../stderr.txt",
      "destination": {
        "container": {
          "containerUrl": "http://127.0.0.1:2/data/logs",
          "path": "job-1/0000001-TASKHASHTASK/stderr.txt",
          "identityReference": {
            "resourceId": "/subscriptions/s/resourceGroups/g/providers/identity/nodes"
          }
        }
      },
      "uploadOptions": {
        "uploadCondition": "taskcompletion"
      }
    },
    {
      "filePattern": "../reason.txt*",
      "destination": {
        "container": {
          "containerUrl": "http://127.0.0.1:2/data/logs",
          "path": "job-1/0000001-TASKHASHTASK",
          "identityReference": {
            "resourceId": "/subscriptions/s/resourceGroups/g/providers/identity/nodes"
          }
        }
      },
      "uploadOptions": {
        "uploadCondition": "taskcompletion"
      }
    },
    {
      "filePattern": "out-1.txt",
      "destination": {
        "container": {
          "containerUrl": "http://127.0.0.1:2/data/outputs",
          "path": "job-1/0000001-TASKHASHTASK/out-1.txt",
          "identityReference": {
            "resourceId": "/subscriptions/s/resourceGroups/g/providers/identity/nodes"
          }
        }
      },
      "uploadOptions": {
        "uploadCondition": "taskcompletion"
      }
    },
    {
      "filePattern": "core.*",
      "destination": {
        "container": {
          "containerUrl": "http://127.0.0.1:2/data/outputs",
          "path": "job-1/0000001-TASKHASHTASK",
          "identityReference": {
            "resourceId": "/subscriptions/s/resourceGroups/g/providers/identity/nodes"
          }
        }
      },
      "uploadOptions": {
        "uploadCondition": "taskfailure"
      }
    }
  ],
  "environmentSettings": [
    {
      "name": "OMP_NUM_THREADS",
      "value": "2"
    },
    {
      "name": "JOBS_REASON",
      "value": "../reason.txt"
    }
  ],
  "constraints": {
    "retentionTime": "PT2H",
    "maxTaskRetryCount": 3,
    "maxWallClockTime": "PT1H30M"
  },
  "requiredSlots": 2
}"""


def test_a_task_is_sent_as_the_golden_text(
    workload: MakeWorkload, stack: Stack, tmp_path: Path
) -> None:
    text = """\
        name: n
        pool: cpu
        program: {files: [solve]}
        inputs: ["data set.csv"]
        command: ./solve --x {x} "data set.csv" out-{index}.txt
        environment: {OMP_NUM_THREADS: "{x}"}
        outputs: ["out-{index}.txt", {pattern: "core.*", when: failed}]
        resources: {slots: 2, wall_clock: 1h30m, retries: 3, retention: 2h}
        tasks: {sweep: {x: [1, 2]}}
        """
    loaded = workload(text, solve="#!", **{"data set_DOT_csv": "1"})
    (tmp_path / "workload" / "solve").chmod(0o755)
    job = planned(loaded, stack)
    second = list(job.tasks())[1]
    shown = json.dumps(json.loads(second.body), indent=2)
    for kind in ("PROGRAM", "DATA"):
        name = {"PROGRAM": "solve", "DATA": "data set.csv"}[kind]
        path = tmp_path / "workload" / name
        with ContentCache(None) as cache:
            shown = shown.replace(cache.look([path])[path].sha256, kind)
    assert shown.replace(second.id, "0000001-TASKHASHTASK") == GOLDEN


HOSTILE = [
    "a b",
    "'",
    '"',
    "$(rm -rf /)",
    "`x`",
    "new\nline",
    "ünï",
    "-rf",
    "../..",
    "\\",
    "{x}",
    "",
]


def test_a_value_stays_one_argument_whatever_it_is(workload: MakeWorkload, stack: Stack) -> None:
    values = json.dumps(HOSTILE)
    text = HEAD + f"command: ['echo', '<{{v}}>']\ntasks: {{sweep: {{v: {values}}}}}\n"
    tasks = bodies(planned(workload(text), stack))
    assert [arguments(task) for task in tasks] == [["echo", f"<{value}>"] for value in HOSTILE]


def test_a_value_in_a_script_is_one_word_of_the_shell(
    workload: MakeWorkload, stack: Stack
) -> None:
    import subprocess

    text = HEAD + f"script: printf %s {{v}}\ntasks: {{sweep: {{v: {json.dumps(HOSTILE)}}}}}\n"
    for task, value in zip(bodies(planned(workload(text), stack)), HOSTILE, strict=True):
        command = arguments(task)
        assert command[:2] == ["/bin/sh", "-ec"]
        done = subprocess.run(command, capture_output=True, check=True)
        assert done.stdout.decode() == value


def test_ids_follow_from_content_and_position_alone(workload: MakeWorkload, stack: Stack) -> None:
    def ids(text: str, job_id: str = "j") -> list[str]:
        return [task.id for task in planned(workload(HEAD + text, f="1"), stack, job_id).tasks()]

    base = ids("command: a {x}\ninputs: [f]\ntasks: {sweep: {x: [1, 2]}}\n")
    assert len(set(base)) == 2
    assert base == ids("tasks: {sweep: {x: [1, 2]}}\ninputs: [f]\ncommand: a {x}\n", "other-job")
    assert base == ids("command: a {x}\ninputs: [f]\ntasks: {sweep: {x: [1, 2, 3]}}\n")[:2]
    assert base == ids("command: a {x}\ninputs: [f]\nmerge: x\ntasks: {list: [{x: 1}, {x: 2}]}\n")
    changed = (
        ids("command: a -v {x}\ninputs: [f]\ntasks: {sweep: {x: [1, 2]}}\n"),
        ids("command: a {x}\ntasks: {sweep: {x: [1, 2]}}\n"),
        ids("command: a {x}\ninputs: [f]\nenvironment: {A: b}\ntasks: {sweep: {x: [1, 2]}}\n"),
        ids("command: a {x}\ninputs: [f]\nresources: {slots: 2}\ntasks: {sweep: {x: [1, 2]}}\n"),
        ids("command: a {x}\ninputs: [f]\noutputs: [o]\ntasks: {sweep: {x: [1, 2]}}\n"),
    )
    for other in changed:
        assert not set(base) & set(other)


def test_a_changed_input_changes_ids_and_digest(
    workload: MakeWorkload, stack: Stack, tmp_path: Path
) -> None:
    loaded = workload(HEAD + "command: a\ninputs: [f]\n", f="1")
    before = planned(loaded, stack)
    (tmp_path / "workload" / "f").write_text("2")
    after = planned(loaded, stack)
    assert before.digest != after.digest
    assert [task.id for task in before.tasks()] != [task.id for task in after.tasks()]


def test_a_task_gets_only_the_files_that_its_values_name(
    workload: MakeWorkload, stack: Stack
) -> None:
    text = HEAD + (
        "command: a {s}\n"
        "inputs: [common, {path: 'in/{s}/*.txt', to: here}]\n"
        "tasks: {sweep: {s: [x, y]}}\n"
    )
    job = planned(
        workload(
            text, common="", in__x__1_DOT_txt="a", in__x__2_DOT_txt="b", in__y__1_DOT_txt="c"
        ),
        stack,
    )
    paths = [[file["filePath"] for file in task["resourceFiles"]] for task in bodies(job)]
    assert paths == [["common", "here/1.txt", "here/2.txt"], ["common", "here/1.txt"]]


def test_a_file_that_appears_after_the_others_were_read_is_no_blob_without_contents(
    workload: MakeWorkload, stack: Stack
) -> None:
    loaded = workload(
        HEAD + "command: cat\ninputs: ['{x}.*']\ntasks: {sweep: {x: [a, b]}}\n",
        a_DOT_dat="1",
        b_DOT_dat="2",
    )
    job = planned(loaded, stack)
    new = loaded.directory / "b.log"
    new.write_text("")
    walk = job.tasks()
    next(walk)
    with pytest.raises(InputError, match=r"b\.log changed while it was being staged"):
        next(walk)


def test_only_what_a_build_makes_may_be_missing_in_a_plan(
    workload: MakeWorkload, stack: Stack
) -> None:
    loaded = workload(
        HEAD
        + "program: {files: [lib.py], build: {command: [cc], sources: [a.c], output: solve}}\n"
        + "command: ./solve\n",
        lib_DOT_py="",
        a_DOT_c="",
    )
    checked = check(loaded, stack)
    with ContentCache(None) as cache:
        contents = contents_of(checked, cache)
        job = plan(checked, contents, job_id="job-1")
        assert job.unbuilt
        names = [file["filePath"] for file in bodies(job)[0]["resourceFiles"]]
        assert names == ["lib.py", "solve"]
        (loaded.directory / "lib.py").unlink()
        with pytest.raises(InputError, match=r"lib\.py changed while it was being staged"):
            plan(checked, contents_of(checked, cache), job_id="job-1")


def test_a_file_of_a_files_factory_is_an_input_of_its_task(
    workload: MakeWorkload, stack: Stack
) -> None:
    text = HEAD + "command: wc {file}\ntasks: {files: 'in/*'}\n"
    tasks = bodies(planned(workload(text, in__a="1", in__b="2"), stack))
    assert [task["resourceFiles"][0]["filePath"] for task in tasks] == ["in/a", "in/b"]
    assert [arguments(task) for task in tasks] == [["wc", "in/a"], ["wc", "in/b"]]


def test_everything_that_does_not_fit_is_told_at_once(
    workload: MakeWorkload, stack: Stack
) -> None:
    text = """\
        name: n
        pool: cpux
        command: echo {wrong} {indx}
        inputs: [none.csv, "*.nothing", "../outside"]
        environment: {AZ_BATCH_X: "1", A: "{also}"}
        program: {files: [gone]}
        check: "{python} {result}"
        """
    with pytest.raises(WorkloadError) as caught:
        check(workload(text), stack)
    told = [(f.line, f.path, f.message.split(" in /")[0]) for f in caught.value.findings]
    assert told == [
        (2, "pool", "stack test has no pool 'cpux', it has: cpu; did you mean 'cpu'?"),
        (3, "command", "nothing gives {wrong} a value; there is: {index}, {repeat}"),
        (3, "command", "nothing gives {indx} a value; did you mean {index}?"),
        (4, "inputs[0]", "'none.csv' does not exist"),
        (4, "inputs[1]", "'*.nothing' matches no file"),
        (4, "inputs[2]", "'../outside' does not exist"),
        (5, "environment.A", "nothing gives {also} a value; there is: {index}, {repeat}"),
        (5, "environment.AZ_BATCH_X", "names that begin with AZ_BATCH_ are the service's"),
        (6, "program.files[0]", "'gone' does not exist"),
        (7, "check", "nothing gives {result} a value; did you mean {results}?"),
    ]


@pytest.mark.parametrize(
    ("pool", "text", "message"),
    [
        ({"task_slots_per_node": 1}, "resources: {slots: 2}\n", "would wait for ever"),
        ({"identity_id": None}, "", "has no identity"),
        ({"max_nodes": 0}, "", "can have no node"),
    ],
)
def test_a_pool_that_cannot_run_it_is_told(
    workload: MakeWorkload,
    values: Callable[..., dict[str, Any]],
    pool: dict[str, Any],
    text: str,
    message: str,
) -> None:
    outputs = values()
    outputs["pools"]["cpu"] |= pool
    with pytest.raises(WorkloadError, match=message):
        check(workload(HEAD + "command: a\n" + text), parse_stack(outputs, where="x"))


def test_windows_quotes_its_own_way_and_has_no_sh(
    workload: MakeWorkload, values: Callable[..., dict[str, Any]]
) -> None:
    outputs = values()
    outputs["pools"]["cpu"]["os"] = "windows"
    windows = parse_stack(outputs, where="x")
    task = bodies(planned(workload(HEAD + "command: [cmd, /c, 'a b']\n"), windows))[0]
    assert task["commandLine"] == 'cmd /c "a b"'
    with pytest.raises(WorkloadError, match="the pool runs Windows"):
        check(workload(HEAD + "script: ls\n"), windows)


def test_two_files_for_one_place_are_refused(workload: MakeWorkload, stack: Stack) -> None:
    text = HEAD + "command: a\ninputs: [{path: a/f, to: d}, {path: b/f, to: d}]\n"
    with pytest.raises(WorkloadError, match="would both be 'd/f'"):
        check(workload(text, a__f="1", b__f="2"), stack)


def test_a_value_that_does_not_fit_its_format_names_the_task(
    workload: MakeWorkload, stack: Stack
) -> None:
    text = HEAD + "command: a {x:04d}\ntasks: {sweep: {x: [1, two]}}\n"
    with pytest.raises(WorkloadError, match=r"task 1: \{x:04d\} cannot show 'two'"):
        bodies(planned(workload(text), stack))


def test_a_missing_file_of_a_task_is_told_before_anything_is_sent(
    workload: MakeWorkload, stack: Stack
) -> None:
    text = HEAD + "command: a\ninputs: ['in/{s}']\ntasks: {sweep: {s: [x, gone]}}\n"
    with pytest.raises(WorkloadError, match="input 'in/gone' does not exist"):
        check(workload(text, in__x=""), stack)


def test_a_million_tasks_are_generated_and_not_kept(workload: MakeWorkload, stack: Stack) -> None:
    text = HEAD + "command: a {x}\ntasks: {sweep: {x: {range: [0, 1000000]}}}\n"
    job = planned(workload(text), stack)
    assert job.count == 1_000_000
    assert [task.index for task in islice(job.tasks(), 3)] == [0, 1, 2]


def test_a_rerun_is_warned_of_what_it_sends_itself(workload: MakeWorkload, stack: Stack) -> None:
    checked = check(workload("name: n\npool: cpu\ncommand: a\ntasks: 900\n"), stack)
    assert [one.code for one in plan(checked, {}, job_id="j").warnings] == ["rounds"]
    assert plan(checked, {}, job_id="j-r2", only="3,5").warnings == ()


def test_tags_are_the_jobs_and_change_nothing_that_its_tasks_do(
    workload: MakeWorkload, stack: Stack
) -> None:
    text = HEAD + "command: a\nvariables: {study: north}\n"
    tagged = planned(workload(text + 'tags: {project: fraud, study: "{study}-1"}\n'), stack)
    metadata = {item["name"]: item["value"] for item in tagged.complete_body["metadata"]}
    assert tagged.body_metadata["jobs.tag.study"] == metadata["jobs.tag.study"] == "north-1"
    assert tags_of(metadata) == {"project": "fraud", "study": "north-1"}
    bare = planned(workload(text), stack)
    assert bare.digest == tagged.digest
    assert tags_of(bare.body_metadata) == {}


@pytest.mark.parametrize(
    ("tags", "finding"),
    [
        ('{project: "{seed}"}', r"tags.project: nothing gives \{seed\} a value"),
        ("{project: 3}", "tags.project"),
        ('{project: ""}', "tags.project"),
        ("{not a name: x}", "tags"),
        (f"{{{', '.join(f't{n}: x' for n in range(11))}}}", "tags"),
    ],
)
def test_tags_are_a_few_texts(
    workload: MakeWorkload, stack: Stack, tags: str, finding: str
) -> None:
    with pytest.raises(WorkloadError, match=finding):
        planned(workload(HEAD + f"command: a\ntags: {tags}\n"), stack)


def test_an_input_that_is_no_regular_file_is_told_as_one(
    workload: MakeWorkload, stack: Stack, tmp_path: Path
) -> None:
    (tmp_path / "workload" / "empty").mkdir(parents=True)
    os.mkfifo(tmp_path / "workload" / "pipe")
    loaded = workload(HEAD + "command: a\ninputs: [pipe, none, empty]\n")
    with pytest.raises(WorkloadError, match="'pipe' is no regular file in ") as raised:
        planned(loaded, stack)
    assert "'none' does not exist in " in str(raised.value)
    assert "'empty' has no file in " in str(raised.value)


def test_a_task_that_the_service_does_not_take_is_told_before_anything_is_sent(
    workload: MakeWorkload, stack: Stack, tmp_path: Path
) -> None:
    directory = tmp_path / "workload" / "data"
    directory.mkdir(parents=True)
    for number in range(4000):
        (directory / f"{number}.csv").write_text(str(number))
    with pytest.raises(InputError, match=r"takes 1,\d{3},\d{3} bytes .* takes 1,000,000: .*blobs"):
        planned(workload(HEAD + "command: a\ninputs: ['data/*.csv']\n"), stack)
