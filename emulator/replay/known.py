"""The differences that are meant, each with its reason; the fidelity table tells the same."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from emulator.replay.compare import Difference
from emulator.replay.recording import Exchange

RETIRED = "retired before api-version 2025-06-01"
CUT = "the recorder cut lists out of it"
NO_BODY = "the recorder left the request's body out"
FOLLOWS = "what it is about could not be made before"
BLURRED = "a change before it could not be played"
OUTAGE = "the service itself was in trouble"
ABSENT = "absent"
NO_PACKAGE = "the recording does not say which application packages there were"
CANNOT = frozenset({NO_PACKAGE})
"""Reasons for which a creation or a change was not made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a difference was found in.

    Attributes:
        exchange: The recorded one.
        operation: The SDK's name for it.
        given: Whether it is about something that was there before the recording began:
            how that came about, the recording does not say.
        blurred: Whether a change of it, before, could not be played.
    """

    exchange: Exchange
    operation: str
    given: bool
    blurred: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A difference that is meant.

    Attributes:
        where: Pattern of the whole path.
        reason: Why.
        operation: Pattern of the operation's whole name.
        when: What else must hold.
    """

    where: str
    reason: str
    operation: str = ".*"
    when: Callable[[Context, Difference], bool] = lambda _context, _difference: True


def _given(context: Context, _difference: Difference) -> bool:
    return context.given


def _answers(*words: str) -> Callable[[Context, Difference], bool]:
    def told(_context: Context, difference: Difference) -> bool:
        return any(word in str(difference.answered) for word in words)

    return told


def _renamed(context: Context, difference: Difference) -> bool:
    """Recorders put other names into paths, and left them in headers."""
    told = urlsplit(str(difference.recorded)).path.rstrip("/")
    return told.rpartition("/job-1")[1] == "" and told != urlsplit(context.exchange.path).path


def _in(*tests: str) -> Callable[[Context, Difference], bool]:
    return lambda context, _difference: any(test in context.exchange.test for test in tests)


def _before_2020_09(context: Context, _difference: Difference) -> bool:
    return context.exchange.api_version < "2020-09"


_AT = r"(?:value\[\]\.)?"

TABLE: tuple[Known, ...] = (
    Known(
        where=_AT + r"(?:state|stateTransitionTime|previous\w+|allocationState\w*|current\w+Nodes"
        r"|resizeErrors.*|autoScaleRun.*|executionInfo.*|nodeInfo.*|recentTasks.*|total\w+"
        r"|running\w+|startTaskInfo.*|lastBootTime|nodeAgentInfo.*|schedulingState"
        r"|(?:dedicated|lowPriority|taskCounts|taskSlotCounts)\.\w+|stats.*|errors.*"
        r"|job(?:Preparation|Release)TaskExecutionInfo.*)",
        reason="how it came about before the recording began is not recorded",
        when=_given,
    ),
    Known(
        where="status",
        reason=NO_PACKAGE,
        when=_answers("InvalidApplicationPackageReferences", "ApplicationNotFound"),
    ),
    Known(
        where=r"dataserviceid",
        reason="the recorder changed names in paths and not in this header",
        when=_renamed,
    ),
    Known(where=r"value\[\]", operation="list_applications", reason=NO_PACKAGE),
    Known(
        where=r"remoteLogin\w+",
        operation="get_node_remote_login_settings",
        reason="who logs in to a node reaches the ssh server of this machine, if there is one",
    ),
    Known(
        where=r"value\[\].*",
        operation="list_pool_usage_metrics",
        reason="usage of pools is told up to this instant, not hours later",
    ),
    Known(
        where=r"virtualDirectoryName|numberOfFilesUploaded",
        operation="upload_node_logs",
        reason="which logs a node has, and their place, is the emulator's own",
    ),
    Known(
        where=r"state|previous\w+|executionInfo.*|status",
        reason="instants that a request names have passed since it was recorded",
        when=_in("TestJobSchedule"),
    ),
    Known(
        where=_AT + r"(?:state|lastBootTime|nodeAgentInfo|certificateReferences)|value\[\]",
        operation="list_nodes|get_node|get_pool",
        reason="nodes are ready after another time than the recorded ones",
        when=lambda context, _difference: context.operation != "get_pool" or context.given,
    ),
    Known(
        where=r"value\[\].*",
        operation=r"list_(?:node|task)_files",
        reason="which other files a node has, and their order, is the emulator's own",
    ),
    Known(
        where=r"targetDedicatedNodes|targetLowPriorityNodes",
        reason="how it came about before the recording began is not recorded",
        when=_given,
    ),
    Known(where=r".*", reason=BLURRED, when=lambda context, _difference: context.blurred),
    Known(
        where=r".*nodeAgentInfo\.version|.*exactVersion",
        reason="versions of images and of the node agent are the emulator's own",
    ),
    Known(
        where=r".*endpointConfiguration.*",
        operation=r"list_nodes|get_node",
        reason="no node is reached from outside: nodes have no endpointConfiguration",
    ),
    Known(
        where=_AT + r"currentNodeCommunicationMode",
        reason="how nodes and the service reach each other is not modelled",
    ),
    Known(
        where=r"task(?:Slot)?Counts\.\w+",
        reason="counts of tasks are never behind, as the service's may be",
        when=_in("JobOperations"),
    ),
    Known(
        where=r"resizeTimeout",
        reason="the two minutes of a resize that ends autoscale, seen in one recording only",
        when=_in("test_batch_scale_pools"),
    ),
    Known(
        where=r".*upgradePolicy.*",
        reason="an upgrade policy that reads P0D where a creation must say PT0S",
        when=_in("testPoolOData"),
    ),
    Known(
        where=r"status|code|message\.value|values.*",
        reason="sizes and images are not held against what a region offers",
        operation="create_pool",
        when=_in("test_batch_pool_cmd"),
    ),
    *(
        Known(
            where=where,
            reason="the recording leaves out requests that came in between",
            operation=operation,
            when=_in(test),
        )
        for test, operation, where in (
            ("JobOperations", "get_job", r"state|executionInfo.*"),
            ("TestTask", "list_tasks", r"value\[\].*"),
            ("TestTask", "download_task_file", r"\(body\)"),
            ("canCRUDTest", "delete_pool", "status"),
            ("should_enable_a_job", "enable_job", "status"),
            ("testGetTaskCounts", "create_pool", "status"),
            ("test_batch_extensions_live", "create_pool", "status"),
            ("test_batch_jobs_and_tasks", "get_job", r"constraints.*|onAllTasksComplete|metadata"),
            ("test_batch_pool_cmd", "list_pool_node_counts", r"value\[\]"),
        )
    ),
    Known(
        where=r".*",
        reason="an api-version before 2020-09-01.12.0: another wire, which nobody speaks any more",
        when=_before_2020_09,
    ),
)


def reason(context: Context, difference: Difference) -> str:
    """Why a difference is meant; empty for one that is not."""
    for known in TABLE:
        if (
            re.fullmatch(known.where, difference.where)
            and re.fullmatch(known.operation, context.operation)
            and known.when(context, difference)
        ):
            return known.reason
    return ""
