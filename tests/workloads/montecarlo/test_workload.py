"""`job.yaml` as it is shipped: its tasks run here, one after the other, as nodes would."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from jobs.answer import answer
from jobs.build import build_programs
from jobs.contents import ContentCache
from jobs.factories import expand
from jobs.inputs import input_files, program_files
from jobs.loading import load_workload
from jobs.results import ResultTree
from jobs.stages import stages_of
from jobs.templates import parse_template
from workloads.montecarlo import merge

SHIPPED = Path(merge.__file__).parent


@pytest.fixture
def workload_file(tmp_path: Path) -> Path:
    copy = tmp_path / "a workload"
    shutil.copytree(SHIPPED, copy, ignore=shutil.ignore_patterns("build", "__pycache__"))
    return copy / "job.yaml"


@pytest.mark.slow
def test_the_tasks_of_the_workload_file_make_a_checked_answer(
    workload_file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    # 67 blocks of 2^21 paths, shared out over 16 tasks.
    workload = load_workload(workload_file, ["paths=140000000"])
    assert workload.spec.command is not None
    build_programs(workload, ContentCache(tmp_path / "cache.json"))
    (view,) = stages_of(workload)
    program, program_findings = program_files(workload, view)
    inputs, input_findings = input_files(workload, view.spec.inputs, view.place("inputs"))
    assert program_findings == input_findings == []
    rows = expand(workload, view)
    tree = ResultTree(tmp_path / "results")
    for index, row in enumerate(rows.each()):
        node = tmp_path / "node" / str(index)
        node.mkdir(parents=True)
        for file in (*program, *inputs.common):
            shutil.copy(file.local, node / file.node_path)
        values = {**workload.spec.variables, **dict(zip(rows.names, row, strict=True))}
        command = [parse_template(part).render(values) for part in workload.spec.command]
        subprocess.run(command, cwd=node, check=True)
        task = tree.outputs / f"{index:07d}"
        task.mkdir(parents=True)
        for pattern in workload.spec.outputs:
            for path in node.glob(pattern.pattern):
                shutil.copy(path, task)
    assert rows.count == 16

    answer(workload, tree, "montecarlo-1")

    out = capfd.readouterr().out.splitlines()
    assert out[-1].startswith("12 options, 140,000,000 antithetic paths, seed 42: all within")
    assert (tree.root / "results.csv").read_text().count("\n") == 13


def test_a_second_build_has_nothing_to_do(workload_file: Path, tmp_path: Path) -> None:
    cache = ContentCache(tmp_path / "cache.json")
    workload = load_workload(workload_file)
    # A build takes seconds and is tested above: here a compiler that only makes a file.
    compiler = tmp_path / "c++"
    compiler.write_text('#!/bin/sh\nfor last in "$@"; do :; done\necho made > "$last"\n')
    compiler.chmod(0o755)
    makefile = workload_file.parent / "Makefile"
    makefile.write_text(f"CXX = {compiler}\n" + makefile.read_text())
    (first,) = build_programs(workload, cache)
    (second,) = build_programs(workload, cache)
    assert (first.ran, second.ran) == (True, False)
    (workload_file.parent / "src" / "philox.hpp").write_text("// changed\n")
    (third,) = build_programs(workload, cache)
    assert third.ran
