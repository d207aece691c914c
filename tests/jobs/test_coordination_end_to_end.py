"""A coordination command that fails on a real node: through the command line and the emulator."""

from __future__ import annotations

from typing import Any

import pytest

Directory = Any  # the fixture of command_line.py, which importlib mode cannot name
pytestmark = pytest.mark.slow

COORDINATED = """\
    name: coordinated
    pool: mpi
    variables: {master: none}
    script: echo solved
    multi_instance:
      nodes: 2
      coordination:
      - sh
      - -c
      - 'echo "master $AZ_BATCH_IS_CURRENT_NODE_MASTER"; case $AZ_BATCH_IS_CURRENT_NODE_MASTER in
        {master}) echo "no fabric" >&2; exit 5;; esac'
    """


def test_what_every_node_printed_is_shown_and_collected(directory: Directory) -> None:
    directory.write(COORDINATED)
    directory.jobs("job.yaml", "--job-id", "good", module="jobs.run")
    out, _ = directory.jobs("logs", "0")
    assert out.splitlines() == [
        "node 0 stdout| master true",
        "node 1 stdout| master false",
        "solved",
    ]
    homes = directory.path.glob("results/good/logs/*/coordination/*/stdout.txt")
    assert sorted(path.parent.name for path in homes) == ["0", "1"]
    assert directory.json("collect")["fetched"] == 0
    report = directory.json("report")["report"]
    assert report["nodes"] == 2
    assert {node["tasks"] for node in report["by_node"]} == {1}
    assert not [node for node in report["by_node"] if "+" in node["node_id"]], "both are named"
    assert report["dedicated_node_s"] == pytest.approx(2 * report["task_s"]), "of both nodes"


@pytest.mark.parametrize(("master", "node"), [("false", 1), ("true", 0)])
def test_where_it_failed_and_why_is_explained(
    directory: Directory, master: str, node: int
) -> None:
    directory.write(COORDINATED)
    _, err = directory.jobs(
        "job.yaml",
        "--set",
        f"master={master}",
        "--job-id",
        f"bad-{master}",
        code=1,
        module="jobs.run",
    )
    assert 'exit code 5 "no fabric"' in err
    out, _ = directory.jobs("explain", "0")
    assert f"on node {node} of 2" in out
    assert "coordination: no fabric" in out
    out, _ = directory.jobs("logs", "0", "--source", "coordination")
    assert f"node {node} stderr| no fabric" in out.splitlines()
