"""The remote shell of emulated nodes: how an MPI launcher reaches the other nodes of a task.

    sh remote_shell.sh [OPTION ...] HOST COMMAND ...

On Azure `mpiexec -hosts $AZ_BATCH_HOST_LIST` reaches the other nodes by ssh. Emulated
nodes are directories of one machine, so that the way to another node is to run the
command here. The script does that for the hosts of the task's `AZ_BATCH_HOST_LIST` and
refuses any other, as ssh would fail for a host that is not there. It is told to the
launchers of MPICH, Intel MPI and Open MPI by their own variables.
"""

from __future__ import annotations

from pathlib import Path

SCRIPT = Path(__file__).with_name("remote_shell.sh")


def environment() -> dict[str, str]:
    """What a multi-instance task gets.

    Launchers cut a path at its blanks: where this one has any, those that can start their
    processes without a shell do so, and know of no hosts.
    """
    script = str(SCRIPT)
    if len(script.split()) > 1:
        return {"HYDRA_LAUNCHER": "fork", "I_MPI_HYDRA_BOOTSTRAP": "fork"}
    return {
        "HYDRA_LAUNCHER": "ssh",
        "HYDRA_LAUNCHER_EXEC": script,
        "I_MPI_HYDRA_BOOTSTRAP": "ssh",
        "I_MPI_HYDRA_BOOTSTRAP_EXEC": script,
        "OMPI_MCA_plm_rsh_agent": script,
        "PRTE_MCA_plm_ssh_agent": script,
    }
