"""Every request body of the service that the emulator takes: one check a body."""

from emulator.service.bodies.jobs import job, job_disable, job_patch, job_put, job_terminate
from emulator.service.bodies.nodes import (
    node_deallocate,
    node_disable_scheduling,
    node_reboot,
    node_reimage,
    node_user,
    node_user_put,
    upload_logs,
)
from emulator.service.bodies.pools import (
    pool,
    pool_enable_autoscale,
    pool_evaluate_autoscale,
    pool_patch,
    pool_properties,
    pool_remove_nodes,
    pool_resize,
)
from emulator.service.bodies.schedules import schedule, schedule_patch, schedule_put
from emulator.service.bodies.tasks import (
    MAX_TASKS_PER_COLLECTION,
    task,
    task_collection,
    task_update,
)

__all__ = [
    "MAX_TASKS_PER_COLLECTION",
    "job",
    "job_disable",
    "job_patch",
    "job_put",
    "job_terminate",
    "node_deallocate",
    "node_disable_scheduling",
    "node_reboot",
    "node_reimage",
    "node_user",
    "node_user_put",
    "pool",
    "pool_enable_autoscale",
    "pool_evaluate_autoscale",
    "pool_patch",
    "pool_properties",
    "pool_remove_nodes",
    "pool_resize",
    "schedule",
    "schedule_patch",
    "schedule_put",
    "task",
    "task_collection",
    "task_update",
    "upload_logs",
]
