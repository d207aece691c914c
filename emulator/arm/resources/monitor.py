"""`Microsoft.Insights`: diagnostic settings, alerts, data collection, workbooks."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from emulator.arm.errors import ArmError
from emulator.arm.kinds import RESOURCE_GROUP, Context, NameRule, ResourceType

_INSIGHTS: Final = f"{RESOURCE_GROUP}/providers/Microsoft.Insights"
_DAY: Final = 24 * 60
_NAME: Final = NameRule(
    pattern=r"[^<>*%&:\\?/+#]{1,259}[^<>*%&:\\?/+#. ]",
    text=r"1-260 characters without < > * % & : \ ? / + #, no space or period at the end",
)


def _check_destination(context: Context) -> None:
    wanted = ("workspaceId", "storageAccountId", "eventHubAuthorizationRuleId")
    if not any(context.inputs.get(name) for name in (*wanted, "marketplacePartnerId")):
        raise ArmError(
            400,
            "BadRequest",
            "At least one data sink needs to be specified: " + ", ".join(wanted) + ".",
        )
    if not (context.inputs.get("logs") or context.inputs.get("metrics")):
        raise ArmError(
            400, "BadRequest", "A diagnostic setting needs at least one log or metric category."
        )


def _check_group_name(context: Context) -> None:
    short = str(context.inputs.get("groupShortName", ""))
    if not 1 <= len(short) <= 12:  # noqa: PLR2004 - the service's limit
        raise ArmError(
            400,
            "InvalidShortName",
            f"groupShortName {short!r} has {len(short)} characters; 1 to 12 are allowed.",
        )


def _check_streams(context: Context) -> None:
    """Data flows name streams that are declared and destinations that exist in the rule."""
    declared = context.inputs.get("streamDeclarations") or {}
    destinations = context.inputs.get("destinations") or {}
    names = {
        str(one.get("name"))
        for group in destinations.values()
        for one in (group if isinstance(group, list) else [group])
        if isinstance(one, Mapping)
    }
    for flow in context.inputs.get("dataFlows") or []:
        for stream in flow.get("streams") or []:
            if str(stream).startswith("Custom-") and stream not in declared:
                raise ArmError(
                    400,
                    "InvalidPayload",
                    f"Stream '{stream}' of a data flow is not in streamDeclarations.",
                )
        for destination in flow.get("destinations") or []:
            if destination not in names:
                raise ArmError(
                    400,
                    "InvalidPayload",
                    f"Destination '{destination}' of a data flow is not in destinations.",
                )


def _check_workspaces(context: Context) -> None:
    """Destinations and the tables of custom output streams exist."""
    destinations = (context.inputs.get("destinations") or {}).get("logAnalytics") or []
    ids = [str(one.get("workspaceResourceId")) for one in destinations]
    for workspace in ids:
        if context.lookup(workspace) is None:
            raise ArmError(
                400, "InvalidPayload", f"Workspace {workspace} of a destination does not exist."
            )
    for flow in context.inputs.get("dataFlows") or []:
        stream = str(flow.get("outputStream") or "")
        table = stream.removeprefix("Custom-")
        if table != stream and not any(context.lookup(f"{one}/tables/{table}") for one in ids):
            raise ArmError(
                400,
                "InvalidOutputTable",
                f"Table for output stream '{stream}' is not available for destination "
                f"'{', '.join(flow.get('destinations') or [])}'.",
            )


def _check_rule(context: Context) -> None:
    _check_streams(context)
    _check_workspaces(context)


def _check_query_rule(context: Context) -> None:
    """What Azure refuses of a log alert.

    Source: https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-create-log-alert-rule
    """
    minutes = {
        name: _minutes(context.inputs.get(name), name)
        for name in ("evaluationFrequency", "windowSize", "overrideQueryTimeRange")
        if context.inputs.get(name) is not None
    }
    window = minutes.get("windowSize", 0)
    most = {"evaluationFrequency": _DAY, "windowSize": _DAY, "overrideQueryTimeRange": 2 * _DAY}
    for name, value in minutes.items():
        if not 1 <= value <= most[name]:
            raise ArmError(400, "BadRequest", f"{name} must be 1 to {most[name]} minutes.")
    if minutes.get("evaluationFrequency", 0) > window:
        raise ArmError(400, "BadRequest", "evaluationFrequency is longer than windowSize.")
    if minutes.get("overrideQueryTimeRange", window) < window:
        raise ArmError(400, "BadRequest", "overrideQueryTimeRange is shorter than windowSize.")
    conditions = (context.inputs.get("criteria") or {}).get("allOf") or []
    if len(conditions) != 1:
        raise ArmError(400, "BadRequest", "criteria must have exactly one condition.")
    for scope in context.inputs.get("scopes") or []:
        if context.lookup(str(scope)) is None:
            raise ArmError(400, "ScopeNotFound", f"Scope {scope} does not exist.")
    condition = conditions[0]
    if condition.get("timeAggregation") != "Count" and not condition.get("metricMeasureColumn"):
        raise ArmError(
            400, "BadRequest", "metricMeasureColumn is needed unless timeAggregation is Count."
        )


def _minutes(text: Any, name: str) -> int:
    found = re.fullmatch(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?)?", str(text))
    if found is None:
        raise ArmError(400, "BadRequest", f"{name} {text!r} is no duration of whole minutes.")
    days, hours, minutes = (int(part or 0) for part in found.groups())
    return days * _DAY + hours * 60 + minutes


def _check_workbook(context: Context) -> None:
    try:
        content = json.loads(str(context.inputs.get("serializedData")))
    except ValueError as error:
        raise ArmError(400, "BadRequest", f"serializedData is not JSON: {error}.") from error
    names = [one.get("name") for one in content.get("items", [])]
    if content.get("version") != "Notebook/1.0" or len(set(names)) != len(names):
        raise ArmError(
            400, "BadRequest", "serializedData is no Notebook/1.0 whose items have unique names."
        )


def _ingestion(context: Context) -> dict[str, Any]:
    host = f"{context.name.lower()}-{context.guid('endpoint')[:4]}.{context.location}-1"
    return {
        "immutableId": f"dce-{context.guid('immutable').replace('-', '')}",
        "configurationAccess": {"endpoint": f"https://{host}.handler.control.monitor.azure.com"},
        "logsIngestion": {"endpoint": f"https://{host}.ingest.monitor.azure.com"},
        "metricsIngestion": {"endpoint": f"https://{host}.metrics.ingest.monitor.azure.com"},
        "metadata": {"provisionedBy": "", "provisionedByResourceId": ""},
    }


TYPES: Final = (
    ResourceType(
        token="azure-native:monitor:DiagnosticSetting",  # noqa: S106 - a type token
        id_format="/{resourceUri}/providers/Microsoft.Insights/diagnosticSettings/{name}",
        name=_NAME,
        rule=_check_destination,
    ),
    ResourceType(
        token="azure-native:monitor:ActionGroup",  # noqa: S106 - a type token
        id_format=f"{_INSIGHTS}/actionGroups/{{actionGroupName}}",
        name=_NAME,
        rule=_check_group_name,
        defaults={"enabled": True},
    ),
    ResourceType(
        token="azure-native:monitor:MetricAlert",  # noqa: S106 - a type token
        id_format=f"{_INSIGHTS}/metricAlerts/{{ruleName}}",
        name=_NAME,
        defaults={"autoMitigate": True},
        outputs=lambda context: {"isMigrated": False, "lastUpdatedTime": context.modified},
    ),
    ResourceType(
        token="azure-native:monitor:ScheduledQueryRule",  # noqa: S106 - a type token
        id_format=f"{_INSIGHTS}/scheduledQueryRules/{{ruleName}}",
        name=_NAME,
        replaces=frozenset({"kind"}),
        rule=_check_query_rule,
        defaults={"enabled": True, "kind": "LogAlert"},
        outputs=lambda _: {
            "createdWithApiVersion": "2025-01-01-preview",
            "isLegacyLogAnalyticsRule": False,
            "isWorkspaceAlertsStorageConfigured": False,
        },
    ),
    ResourceType(
        token="azure-native:monitor:DataCollectionEndpoint",  # noqa: S106 - a type token
        id_format=f"{_INSIGHTS}/dataCollectionEndpoints/{{dataCollectionEndpointName}}",
        name=NameRule(
            pattern=r"[A-Za-z0-9][A-Za-z0-9_-]{1,42}[A-Za-z0-9]",
            text="3-44 letters, digits, hyphens and underscores",
        ),
        outputs=lambda context: {**_ingestion(context), "privateLinkScopedResources": []},
    ),
    ResourceType(
        token="azure-native:monitor:DataCollectionRule",  # noqa: S106 - a type token
        id_format=f"{_INSIGHTS}/dataCollectionRules/{{dataCollectionRuleName}}",
        name=NameRule(
            pattern=r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}",
            text="1-64 letters, digits, hyphens, underscores and periods",
        ),
        rule=_check_rule,
        outputs=lambda context: {
            "immutableId": f"dcr-{context.guid('immutable').replace('-', '')}",
            "metadata": {"provisionedBy": "", "provisionedByResourceId": ""},
        },
    ),
    ResourceType(
        token="azure-native:monitor:DataCollectionRuleAssociation",  # noqa: S106 - a type token
        id_format="/{resourceUri}/providers/Microsoft.Insights"
        "/dataCollectionRuleAssociations/{associationName}",
        outputs=lambda _: {"metadata": {"provisionedBy": "", "provisionedByResourceId": ""}},
    ),
    ResourceType(
        token="azure-native:applicationinsights:Workbook",  # noqa: S106 - a type token
        id_format=f"{_INSIGHTS}/workbooks/{{resourceName}}",
        name=NameRule(
            pattern=r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text="a GUID"
        ),
        autoname="uuid",
        rule=_check_workbook,
        defaults={"kind": "shared", "version": "Notebook/1.0"},
        outputs=lambda context: {
            "revision": context.etag.replace("-", ""),
            "timeModified": context.modified,
            "userId": context.identity.object_id,
        },
    ),
)
