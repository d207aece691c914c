"""What only the pool itself can say, asked once before anything is sent.

The stack's outputs tell its size, slots, identity and registries (`jobs.pool_fit`); whether its
nodes run containers is asked, too, where outputs are older than that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jobs.checking import Checked
from jobs.errors import Finding, WorkloadError
from jobs.pool_fit import container_finding
from jobs.service import BatchService, segment


def check_binding(checked: Checked, service: BatchService) -> None:
    """Asks the pool, if the workload needs what only it can say.

    Raises:
        WorkloadError: The pool cannot run the workload's containers.
        ServiceError: Refused, or there is no such pool.
    """
    if not any(stage.view.spec.container for stage in checked.stages):
        return
    pool = service.get(
        f"/pools/{segment(checked.pool.id)}",
        f"looking whether pool {checked.pool.id} runs containers",
        **{"$select": "id,virtualMachineConfiguration"},
    )
    findings = list(_container_findings(checked, pool))
    if findings:
        raise WorkloadError(findings)


def _container_findings(checked: Checked, pool: dict[str, Any]) -> Iterator[Finding]:
    machine = pool.get("virtualMachineConfiguration", {})
    containers = machine.get("containerConfiguration")
    for stage in checked.stages:
        wanted = stage.view.spec.container
        if wanted is None or containers is not None:
            continue
        yield container_finding(checked.workload, stage.view)
