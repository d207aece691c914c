from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.build import Built, build_programs
from jobs.contents import ContentCache
from jobs.errors import BuildError
from jobs.loading import LoadedWorkload

MakeWorkload = Callable[..., LoadedWorkload]
BUILD = """\
name: n
pool: cpu
command: ./prog
program:
  build: {{command: {command}, sources: ["*.src"], output: build/prog}}
"""


def make(workload: MakeWorkload, command: str, **files: str) -> LoadedWorkload:
    return workload(BUILD.format(command=command), a_DOT_src="1", **files)


def built(loaded: LoadedWorkload) -> Built:
    with ContentCache(None) as cache:
        (done,) = build_programs(loaded, cache)
    return done


COPY = "[sh, -c, 'cat *.src > build/prog; echo x >> runs']"


def test_the_command_runs_again_only_when_something_changed(workload: MakeWorkload) -> None:
    loaded = make(workload, COPY)
    runs = loaded.directory / "runs"
    assert built(loaded).ran
    assert not built(loaded).ran
    (loaded.directory / "a.src").write_text("2")
    assert built(loaded).ran
    (loaded.directory / "build" / "prog").write_text("tampered")
    assert built(loaded).ran
    assert not built(loaded).ran
    (loaded.directory / "b.src").write_text("3")
    assert built(loaded).ran
    assert built(make(workload, COPY.replace("; echo", " ; echo"))).ran
    assert runs.read_text() == "x\n" * 5


def test_a_compiler_error_comes_with_its_output(workload: MakeWorkload) -> None:
    loaded = make(workload, "[sh, -c, 'echo a.src:7: expected >&2; exit 3']")
    with pytest.raises(
        BuildError, match=r"failed with exit code 3(.|\n)*a\.src:7: expected"
    ) as caught:
        built(loaded)
    assert caught.value.exit_code == 2


def test_a_failed_build_is_never_up_to_date(workload: MakeWorkload) -> None:
    loaded = make(workload, "[sh, -c, 'echo half > build/prog; exit 1']")
    for _ in range(2):
        with pytest.raises(BuildError, match="failed"):
            built(loaded)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("[no-such-compiler]", "no-such-compiler: No such file"),
        ("['true']", "left no .*build/prog"),
    ],
)
def test_a_build_that_makes_nothing_says_why(
    workload: MakeWorkload, command: str, message: str
) -> None:
    with pytest.raises(BuildError, match=message):
        built(make(workload, command))


def test_a_missing_source_is_told(workload: MakeWorkload) -> None:
    loaded = workload(BUILD.format(command="[x]"))
    with pytest.raises(BuildError, match=r"'\*\.src' matches no file"):
        built(loaded)


def test_a_workload_without_a_build_has_none(workload: MakeWorkload, tmp_path: Path) -> None:
    assert tmp_path.exists()
    with ContentCache(None) as cache:
        assert build_programs(workload("name: n\npool: p\ncommand: x\n"), cache) == ()
