"""Factories that draw, read JSON lines, list blobs or call Python."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from jobs.aside import printing_aside
from jobs.cli import app
from jobs.draws import Drawn, value_of
from jobs.errors import WorkloadError
from jobs.factories import ListBlobs, Rows, expand
from jobs.loading import LoadedWorkload
from jobs.spec_factories import Distribution
from jobs.stages import stages_of

HEAD = "name: n\npool: cpu\ncommand: x\nvariables: {n: 3}\n"
MakeWorkload = Callable[..., LoadedWorkload]
CASES = (
    "def cases(n, start=0):\n    for i in range(start, n):\n        yield {'i': i, 's': 'v' * i}\n"
)


def rows_of(make: MakeWorkload, tasks: str, list_blobs: ListBlobs | None, **files: str) -> Rows:
    loaded = make(HEAD + "tasks: " + tasks, **files)
    return expand(loaded, stages_of(loaded)[0], list_blobs)


def message_of(make: MakeWorkload, tasks: str, **files: str) -> str:
    with pytest.raises(WorkloadError) as caught:
        rows_of(make, tasks, None, **files)
    return str(caught.value)


def test_draws_are_the_same_everywhere() -> None:
    """Values written down once: another Python or machine must give them, too."""
    drawn = {
        name: [Drawn("x", Distribution.model_validate({name: spec}), seed=7, count=2)[i]
               for i in range(2)]
        for name, spec in (
            ("uniform", [0, 1]), ("loguniform", [1, 1000]), ("normal", [0, 1]),
            ("lognormal", [0, 1]), ("exponential", 2), ("integers", [1, 6]),
            ("choice", ["a", "b", "c"]),
        )
    }  # fmt: skip
    assert drawn == DRAWN


DRAWN: dict[str, list[object]] = {
    "uniform": [0.123830254197, 0.12872313501],
    "loguniform": [2.35228945984, 2.43315292273],
    "normal": [-1.15605048295, -1.13244767736],
    "lognormal": [0.314726748106, 0.322243542113],
    "exponential": [0.264390866139, 0.275590964775],
    "integers": [1, 1],
    "choice": ["a", "a"],
}


@given(st.integers(0, 2**64 - 1))
def test_draws_stay_within_their_bounds(bits: int) -> None:
    def value(**spec: object) -> float:
        return float(value_of(Distribution.model_validate(spec), bits))

    assert -1 <= value(uniform=[-1, 2]) <= 2
    assert 0.999999 <= value(loguniform=[1, 100]) <= 100.000001
    assert 3 <= value(integers=[3, 5]) <= 5
    assert value(exponential=1) > 0
    assert math.isfinite(value(normal=[0, 1]))
    assert value(lognormal=[0, 1]) > 0


def test_many_draws_have_the_mean_that_was_asked_for() -> None:
    for spec, mean in (
        ({"normal": [5, 2]}, 5),
        ({"uniform": [0, 10]}, 5),
        ({"exponential": 5}, 5),
        ({"integers": [0, 10]}, 5),
    ):
        drawn = Drawn("x", Distribution.model_validate(spec), seed=1, count=4000)
        assert sum(float(value) for value in drawn) / 4000 == pytest.approx(mean, rel=0.06)


def test_parameters_and_seeds_are_independent() -> None:
    uniform = Distribution.model_validate({"uniform": [0, 1]})
    one, other, seed = (
        list(Drawn(name, uniform, seed=s, count=50)) for name, s in (("a", 1), ("b", 1), ("a", 2))
    )
    assert len({*one, *other, *seed}) == 150


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("{uniform: [2, 1]}", "uniform: 2 is above 1"),
        ("{loguniform: [0, 1]}", "both ends must be above 0"),
        ("{normal: [0, 0]}", "the standard deviation must be above 0"),
        ("{uniform: [0, 1], choice: [1]}", "needs exactly one of"),
        ("{exponential: .inf}", "should be a number, not"),
    ],
)
def test_distributions_that_are_none_are_refused(
    workload: MakeWorkload, spec: str, message: str
) -> None:
    with pytest.raises(WorkloadError, match=message):
        workload(HEAD + f"tasks: {{random: {{count: 1, seed: 1, parameters: {{x: {spec}}}}}}}")


def test_json_lines_are_rows(workload: MakeWorkload) -> None:
    text = '{"a": 1, "b": "x"}\n\n{"b": "y", "a": 2.5}\n'
    made = rows_of(workload, "{jsonl: t.jsonl}", None, t_DOT_jsonl=text)
    assert (made.names, made.count) == (("a", "b"), 2)
    assert list(made.each()) == [(1, "x"), (2.5, "y")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "t.jsonl has no lines"),
        ('{"a": 1}\n{"b": 1}\n', "t.jsonl:2: has b, and the first line a"),
        ("[1]\n", "t.jsonl:1: is no object of names and values"),
        ('{"a": 1}\n{\n', "t.jsonl:2: is no JSON"),
        ('{"a": [1]}\n', "t.jsonl:1: a should be text, a number, true or false"),
        ('{"a b": 1}\n', "t.jsonl:1: 'a b' is no usable name"),
        ('{"a": "\\u0000"}\n', "t.jsonl:1: a value holds a NUL character"),
        ('{"a": "\\udcff"}\n', "t.jsonl:1: a value is no Unicode"),
    ],
)
def test_json_lines_that_are_none_are_told(
    workload: MakeWorkload, text: str, message: str
) -> None:
    assert message in message_of(workload, "{jsonl: t.jsonl}", t_DOT_jsonl=text)


def test_a_generator_gets_the_variables_that_it_names(workload: MakeWorkload) -> None:
    made = rows_of(workload, '{generator: "c:cases"}', None, c_DOT_py=CASES)
    assert (made.names, made.count) == (("i", "s"), 3)
    assert list(made.each()) == [(0, ""), (1, "v"), (2, "vv")]
    assert list(made.each()) == list(made.each())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n", "c.py has no function cases"),
        ("import missing_module\n", "cannot be loaded: ModuleNotFoundError: No module named "),
        ("def cases(:\n", "cannot be loaded: SyntaxError: "),
        ("def cases(m):\n    yield {}\n", "wants m: the file's variables have no such name"),
        ("def cases():\n    yield {'a': 1}\n    1 / 0\n",
         "fails at task 1: ZeroDivisionError: division by zero (c.py:3)"),
        ("def cases():\n    yield {'a': 1}\n    yield {'b': 1}\n", "task 1 has b, and task 0 a"),
        ("def cases():\n    yield 7\n", "task 0 is 7; yield mappings of names to values"),
        ("def cases():\n    yield {'a': [1]}\n", "task 0: [1] is no text, number, true or false"),
        ("def cases():\n    yield {'a': 'x\\0'}\n", "'x\\x00' holds a NUL character"),
        ("def cases():\n    yield {'a': '\\udcff'}\n", "'\\udcff' is no Unicode"),
        ("def cases():\n    return []\n", "yields nothing"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_generator_is_told(
    workload: MakeWorkload, text: str, message: str
) -> None:
    assert message in message_of(workload, '{generator: "c:cases"}', c_DOT_py=text)
    assert "there is no d.py" in message_of(workload, '{generator: "d:cases"}')


def test_a_generator_may_have_dataclasses_and_numbers_of_any_kind(
    workload: MakeWorkload,
) -> None:
    text = (
        "from __future__ import annotations\n"
        "from dataclasses import asdict, dataclass\n"
        "class Real(float): pass\n"
        "@dataclass\nclass Case:\n    a: int\n    b: float\n"
        "def cases():\n    yield asdict(Case(2**70, Real(0.5)))\n"
    )
    made = rows_of(workload, '{generator: "c:cases"}', None, c_DOT_py=text)
    assert list(made.each()) == [(2**70, 0.5)]


def test_a_generator_that_gives_other_tasks_the_next_time_is_found_out(
    workload: MakeWorkload,
) -> None:
    text = (
        "import itertools\nturn = itertools.count()\ndef cases():\n    yield {'a': next(turn)}\n"
    )
    made = rows_of(workload, '{generator: "c:cases"}', None, c_DOT_py=text)
    with pytest.raises(ValueError, match="gave other tasks than when they were counted"):
        list(made.each())


PRINTS = """
import sys
print("loaded")
def cases():
    print("called")
    def walk():
        for i in range(2):
            print("task", i)
            sys.stdout.write("at %d\\n" % i)
            yield {"i": i}
    return walk()
"""


def test_what_a_generator_prints_is_no_result(
    workload: MakeWorkload, capsys: pytest.CaptureFixture[str]
) -> None:
    stdout = sys.stdout
    made = rows_of(workload, '{generator: "c:cases"}', None, c_DOT_py=PRINTS)
    told = ["called", "task 0", "at 0", "task 1", "at 1"]
    out, err = capsys.readouterr()
    assert (out, err.splitlines()) == ("", ["loaded", *told])
    for row in made.each():
        sys.stdout.write(f"got {row[0]}\n")
    out, err = capsys.readouterr()
    assert (out.splitlines(), err.splitlines()) == (["got 0", "got 1"], told)
    assert sys.stdout is stdout
    failing = "def cases():\n    print('before')\n    1 / 0\n    yield\n"
    message_of(workload, '{generator: "c:cases"}', c_DOT_py=failing)
    assert capsys.readouterr() == ("", "before\n")
    assert sys.stdout is stdout


def test_json_is_one_object_whatever_a_generator_prints(
    batch: Any, values: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "c.py").write_text(PRINTS)
    (tmp_path / "job.yaml").write_text(HEAD + 'tasks: {generator: "c:cases"}\n')
    outputs = tmp_path / "outputs.json"
    outputs.write_text(json.dumps(values(batch_endpoint=batch.url)))
    words = ["submit", str(tmp_path / "job.yaml"), "--outputs", str(outputs), "--dry-run"]
    done = CliRunner().invoke(app, [*words, "--json"])
    assert json.loads(done.stdout)["tasks"] == 2, done.output
    assert "loaded" in done.stderr


def test_only_who_prints_aside_does_so(capsys: pytest.CaptureFixture[str]) -> None:
    stdout = sys.stdout
    inside, done = threading.Event(), threading.Event()

    def other() -> None:
        inside.wait(30)
        sys.stdout.write("result\n")
        with printing_aside():
            sys.stdout.write("note of another\n")
            done.set()

    with ThreadPoolExecutor(1) as pool:
        task = pool.submit(other)
        with printing_aside():
            with printing_aside():
                sys.stdout.write("note\n")
                sys.stdout.flush()
            sys.stdout.write("note\n")
            inside.set()
            assert done.wait(30)
        task.result(30)
    assert capsys.readouterr() == ("result\n", "note\nnote\nnote of another\n")
    assert sys.stdout is stdout


def listed(container: str, prefix: str) -> Iterable[tuple[str, str]]:
    assert (container, prefix) == ("data", "raw/")
    return [("raw/b.csv", "2"), ("raw/a/x.csv", "1")]


def test_one_task_a_blob(workload: MakeWorkload) -> None:
    made = rows_of(workload, "{blobs: data/raw/}", listed)
    assert list(made.each()) == [("a/x.csv", "x.csv", "x"), ("b.csv", "b.csv", "b")]
    assert made.blobs["b.csv"].name == "raw/b.csv"
    assert "there is no stack" in message_of(workload, "{blobs: data/raw/}")


@pytest.mark.parametrize("name", ["raw/../up", "raw//x", "raw/new\nline", "raw/back\\slash"])
def test_blobs_whose_names_are_no_files_are_refused(workload: MakeWorkload, name: str) -> None:
    with pytest.raises(WorkloadError, match="blobs: "):
        rows_of(workload, "{blobs: data/raw/}", lambda _container, _prefix: [(name, "1")])


MEMORY = """
import resource, sys
from pathlib import Path
from jobs.factories import expand
from jobs.loading import load_workload
from jobs.stages import stages_of
loaded = load_workload(Path(sys.argv[1]))
rows = expand(loaded, stages_of(loaded)[0])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
count = sum(1 for _ in rows.each())
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(count, grown)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_what_a_generator_yields(workload: MakeWorkload) -> None:
    text = "def cases():\n    for i in range(200_000):\n        yield {'i': i}\n"
    loaded = workload(HEAD + 'tasks: {generator: "c:cases"}', c_DOT_py=text)
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(loaded.path)],
        cwd=Path(__file__).resolve().parents[2], capture_output=True, text=True, check=True,
    )  # fmt: skip
    count, grown_kib = map(int, done.stdout.split())
    assert count == 200_000
    assert grown_kib < 8 << 10
