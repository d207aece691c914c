"""The one table of the data plane's operations: all 72 of api-version 2025-06-01.

Beside them are those that older clients still know and the service gave up: without a handler,
they answer 501 with their name, which no client asks for again. `route` matches the raw path,
so that `files/wd%2Fout.txt` is one file, and decodes what it finds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

from emulator.engine.refusal import Refused
from emulator.service import applications, files, jobs, node_access, nodes, pools, schedules, tasks
from emulator.service.call import Call, Reply, Work

Handler = Callable[[Call], Reply | Work]


@dataclass(frozen=True, slots=True)
class Route:
    """One operation: verb, path, the SDK's name for it, and what answers it."""

    method: str
    path: str
    name: str
    handler: Handler | None = None


_NODE = "/pools/{poolId}/nodes/{nodeId}"
_TASK = "/jobs/{jobId}/tasks/{taskId}"
_SCHEDULE = "/jobschedules/{jobScheduleId}"

ROUTES: tuple[Route, ...] = (
    Route("GET", "/applications", "list_applications", applications.list_applications),
    Route("GET", "/applications/{applicationId}", "get_application", applications.get_application),
    Route("GET", "/poolusagemetrics", "list_pool_usage_metrics", pools.list_pool_usage_metrics),
    Route("GET", "/supportedimages", "list_supported_images", pools.list_supported_images),
    Route("GET", "/nodecounts", "list_pool_node_counts", pools.list_pool_node_counts),
    # Pools
    Route("POST", "/pools", "create_pool", pools.add_pool),
    Route("GET", "/pools", "list_pools", pools.list_pools),
    Route("DELETE", "/pools/{poolId}", "delete_pool", pools.delete_pool),
    Route("HEAD", "/pools/{poolId}", "pool_exists", pools.pool_exists),
    Route("GET", "/pools/{poolId}", "get_pool", pools.get_pool),
    Route("PATCH", "/pools/{poolId}", "update_pool", pools.patch_pool),
    Route(
        "POST",
        "/pools/{poolId}/disableautoscale",
        "disable_pool_auto_scale",
        pools.disable_autoscale,
    ),
    Route(
        "POST",
        "/pools/{poolId}/enableautoscale",
        "enable_pool_auto_scale",
        pools.enable_autoscale,
    ),
    Route(
        "POST",
        "/pools/{poolId}/evaluateautoscale",
        "evaluate_pool_auto_scale",
        pools.evaluate_autoscale,
    ),
    Route("POST", "/pools/{poolId}/resize", "resize_pool", pools.resize_pool),
    Route("POST", "/pools/{poolId}/stopresize", "stop_pool_resize", pools.stop_pool_resize),
    Route(
        "POST",
        "/pools/{poolId}/updateproperties",
        "replace_pool_properties",
        pools.replace_pool_properties,
    ),
    Route("POST", "/pools/{poolId}/removenodes", "remove_nodes", pools.remove_nodes),
    # Compute nodes
    Route("GET", "/pools/{poolId}/nodes", "list_nodes", nodes.list_nodes),
    Route("GET", _NODE, "get_node", nodes.get_node),
    Route("POST", f"{_NODE}/reboot", "reboot_node", nodes.reboot_node),
    Route("POST", f"{_NODE}/start", "start_node", nodes.start_node),
    Route("POST", f"{_NODE}/reimage", "reimage_node", nodes.reimage_node),
    Route("POST", f"{_NODE}/deallocate", "deallocate_node", nodes.deallocate_node),
    Route(
        "POST",
        f"{_NODE}/disablescheduling",
        "disable_node_scheduling",
        nodes.disable_node_scheduling,
    ),
    Route(
        "POST",
        f"{_NODE}/enablescheduling",
        "enable_node_scheduling",
        nodes.enable_node_scheduling,
    ),
    Route(
        "GET",
        f"{_NODE}/remoteloginsettings",
        "get_node_remote_login_settings",
        node_access.get_remote_login_settings,
    ),
    Route("POST", f"{_NODE}/uploadbatchservicelogs", "upload_node_logs", node_access.upload_logs),
    Route("GET", f"{_NODE}/extensions", "list_node_extensions", node_access.list_extensions),
    Route(
        "GET",
        f"{_NODE}/extensions/{{extensionName}}",
        "get_node_extension",
        node_access.get_extension,
    ),
    Route("POST", f"{_NODE}/users", "create_node_user", node_access.add_user),
    Route("PUT", f"{_NODE}/users/{{userName}}", "replace_node_user", node_access.put_user),
    Route("DELETE", f"{_NODE}/users/{{userName}}", "delete_node_user", node_access.delete_user),
    Route("GET", f"{_NODE}/files", "list_node_files", files.list_node_files),
    Route("GET", f"{_NODE}/files/{{filePath}}", "download_node_file", files.get_node_file),
    Route("HEAD", f"{_NODE}/files/{{filePath}}", "get_node_file_properties", files.get_node_file),
    Route("DELETE", f"{_NODE}/files/{{filePath}}", "delete_node_file", files.delete_node_file),
    # Jobs
    Route("POST", "/jobs", "create_job", jobs.add_job),
    Route("GET", "/jobs", "list_jobs", jobs.list_jobs),
    Route("DELETE", "/jobs/{jobId}", "delete_job", jobs.delete_job),
    Route("GET", "/jobs/{jobId}", "get_job", jobs.get_job),
    Route("PATCH", "/jobs/{jobId}", "update_job", jobs.patch_job),
    Route("PUT", "/jobs/{jobId}", "replace_job", jobs.put_job),
    Route("POST", "/jobs/{jobId}/disable", "disable_job", jobs.disable_job),
    Route("POST", "/jobs/{jobId}/enable", "enable_job", jobs.enable_job),
    Route("POST", "/jobs/{jobId}/terminate", "terminate_job", jobs.terminate_job),
    Route("GET", "/jobs/{jobId}/taskcounts", "get_job_task_counts", jobs.get_job_task_counts),
    Route(
        "GET",
        "/jobs/{jobId}/jobpreparationandreleasetaskstatus",
        "list_job_preparation_and_release_task_status",
        jobs.list_job_preparation_and_release_task_status,
    ),
    # Job schedules
    Route("POST", "/jobschedules", "create_job_schedule", schedules.add_schedule),
    Route("GET", "/jobschedules", "list_job_schedules", schedules.list_schedules),
    Route("HEAD", _SCHEDULE, "job_schedule_exists", schedules.schedule_exists),
    Route("DELETE", _SCHEDULE, "delete_job_schedule", schedules.delete_schedule),
    Route("GET", _SCHEDULE, "get_job_schedule", schedules.get_schedule),
    Route("PATCH", _SCHEDULE, "update_job_schedule", schedules.patch_schedule),
    Route("PUT", _SCHEDULE, "replace_job_schedule", schedules.put_schedule),
    Route("POST", f"{_SCHEDULE}/disable", "disable_job_schedule", schedules.disable_schedule),
    Route("POST", f"{_SCHEDULE}/enable", "enable_job_schedule", schedules.enable_schedule),
    Route(
        "POST", f"{_SCHEDULE}/terminate", "terminate_job_schedule", schedules.terminate_schedule
    ),
    Route("GET", f"{_SCHEDULE}/jobs", "list_jobs_from_schedule", schedules.list_jobs),
    # Tasks
    Route("POST", "/jobs/{jobId}/tasks", "create_task", tasks.add_task),
    Route("GET", "/jobs/{jobId}/tasks", "list_tasks", tasks.list_tasks),
    Route(
        "POST",
        "/jobs/{jobId}/addtaskcollection",
        "create_task_collection",
        tasks.add_task_collection,
    ),
    Route("DELETE", _TASK, "delete_task", tasks.delete_task),
    Route("GET", _TASK, "get_task", tasks.get_task),
    Route("PUT", _TASK, "replace_task", tasks.put_task),
    Route("GET", f"{_TASK}/subtasksinfo", "list_subtasks", tasks.list_subtasks),
    Route("POST", f"{_TASK}/terminate", "terminate_task", tasks.terminate_task),
    Route("POST", f"{_TASK}/reactivate", "reactivate_task", tasks.reactivate_task),
    Route("GET", f"{_TASK}/files", "list_task_files", files.list_task_files),
    Route("GET", f"{_TASK}/files/{{filePath}}", "download_task_file", files.get_task_file),
    Route("HEAD", f"{_TASK}/files/{{filePath}}", "get_task_file_properties", files.get_task_file),
    Route("DELETE", f"{_TASK}/files/{{filePath}}", "delete_task_file", files.delete_task_file),
)

_CERTIFICATE = "/certificates()"
"""How a certificate is addressed is no step of a path; see `find`."""

RETIRED: tuple[Route, ...] = (
    Route("POST", "/certificates", "add_certificate"),
    Route("GET", "/certificates", "list_certificates"),
    Route("GET", _CERTIFICATE, "get_certificate"),
    Route("DELETE", _CERTIFICATE, "delete_certificate"),
    Route("POST", f"{_CERTIFICATE}/canceldelete", "cancel_certificate_deletion"),
    Route("GET", "/lifetimejobstats", "get_all_job_lifetime_statistics"),
    Route("GET", "/lifetimepoolstats", "get_all_pool_lifetime_statistics"),
    Route("GET", "/nodeagentskus", "list_node_agent_skus"),
    Route("POST", "/pools/{poolId}/upgradeos", "upgrade_pool_os"),
    Route("GET", f"{_NODE}/rdp", "get_remote_desktop"),
)
"""Operations of earlier api-versions, by the names that their SDKs gave them."""


class _Branch:
    """Where a path has got to: what may follow, and the operations that end here."""

    __slots__ = ("ends", "following", "is_rest")

    def __init__(self) -> None:
        self.following: dict[str, _Branch] = {}
        self.ends: dict[str, Route] = {}
        self.is_rest = False


_ANY = "{}"
_REST = "{filePath}"
"""It is all that is left of a path, should a client not have encoded its slashes."""


def _grow() -> _Branch:
    root = _Branch()
    for route in (*ROUTES, *RETIRED):
        branch = root
        for step in route.path.strip("/").split("/"):
            name = _ANY if step.startswith("{") else step
            branch.is_rest |= step == _REST
            branch = branch.following.setdefault(name, _Branch())
        branch.ends[route.method] = route
    return root


_ROOT = _grow()


def find(method: str, raw_path: str) -> tuple[Route, dict[str, str]]:
    """The operation of a request, and what its placeholders stand for.

    Raises:
        Refused: `InvalidUri` for no such path, `UnsupportedHttpVerb` for no such verb.
    """
    steps = [step for step in raw_path.split("/") if step]
    branch = _ROOT
    values: list[str] = []
    while steps:
        step = "/".join(steps) if branch.is_rest else steps[0]
        del steps[: len(steps) if branch.is_rest else 1]
        if branch is _ROOT and step.startswith("certificates("):
            step = "certificates()"
        following = branch.following.get(step)
        if following is None or step == _ANY:
            following = branch.following.get(_ANY)
            # As Python's file functions take a name that is not UTF-8.
            values.append(unquote(step, errors="surrogateescape" if branch.is_rest else "replace"))
        if following is None:
            raise Refused("InvalidUri")
        branch = following
    if not branch.ends:
        raise Refused("InvalidUri")
    route = branch.ends.get(method)
    if route is None:
        raise Refused("UnsupportedHttpVerb")
    names = [step[1:-1] for step in route.path.split("/") if step.startswith("{")]
    return route, dict(zip(names, values, strict=True))
