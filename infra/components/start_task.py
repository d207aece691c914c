"""A pool's start task: its own, the collector of node telemetry, or both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_azure_native.batch import (
    AutoUserScope,
    AutoUserSpecificationArgs,
    ComputeNodeIdentityReferenceArgs,
    ElevationLevel,
    EnvironmentSettingArgs,
    ResourceFileArgs,
    StartTaskArgs,
    UserIdentityArgs,
)

from infra.config import StartTaskConfig
from infra.equipment import StartFileConfig
from telemetry import start


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryTarget:
    """Where nodes report to.

    Attributes:
        endpoint: URL of the ingestion endpoint.
        rule_id: Immutable id of the data collection rule.
        stream: Its stream.
        client_id: Identity by which nodes sign in.
        interval_s: Seconds between two rows of a node.
    """

    endpoint: pulumi.Input[str]
    rule_id: pulumi.Input[str]
    stream: str
    client_id: pulumi.Input[str]
    interval_s: int


def start_task(
    config: StartTaskConfig | None,
    telemetry: TelemetryTarget | None,
    *,
    blob_endpoint: pulumi.Input[str],
    identity_id: pulumi.Input[str],
) -> StartTaskArgs | None:
    """What every node of a pool runs first, or None for nothing.

    With telemetry the pool's own command runs as it would alone, by the same user, and the
    node waits for it or not as it would. A collector alone keeps no node waiting, and gets
    administrator rights, with which it becomes a service of the operating system.

    Args:
        config: The pool's own, or None without one.
        telemetry: Where nodes report to, or None where they do not.
        blob_endpoint: URL of the data account's blobs.
        identity_id: Identity with which nodes download files.
    """
    files = [_file(one, blob_endpoint, identity_id) for one in (config.files if config else ())]
    if telemetry is None:
        if config is None:
            return None
        return _task(config, config.command_line, config.environment, files)
    own = config or StartTaskConfig(
        command_line="/bin/true", elevated=True, wait_for_success=False, max_retries=0
    )
    environment: dict[str, pulumi.Input[str]] = {
        **own.environment,
        **start.environment(
            config.command_line if config else None, interval_s=telemetry.interval_s
        ),
        "HPC_TELEMETRY_ENDPOINT": telemetry.endpoint,
        "HPC_TELEMETRY_RULE_ID": telemetry.rule_id,
        "HPC_TELEMETRY_STREAM": telemetry.stream,
        "HPC_TELEMETRY_CLIENT_ID": telemetry.client_id,
    }
    return _task(own, start.COMMAND_LINE, environment, files)


def _task(
    config: StartTaskConfig,
    command_line: str,
    environment: Mapping[str, pulumi.Input[str]],
    files: list[ResourceFileArgs],
) -> StartTaskArgs:
    return StartTaskArgs(
        command_line=command_line,
        resource_files=files or None,
        max_task_retry_count=config.max_retries,
        wait_for_success=config.wait_for_success,
        environment_settings=[
            EnvironmentSettingArgs(name=name, value=value)
            for name, value in sorted(environment.items())
        ],
        user_identity=UserIdentityArgs(
            auto_user=AutoUserSpecificationArgs(
                scope=AutoUserScope.POOL,
                elevation_level=(
                    ElevationLevel.ADMIN if config.elevated else ElevationLevel.NON_ADMIN
                ),
            )
        ),
    )


def _file(
    config: StartFileConfig, blob_endpoint: pulumi.Input[str], identity_id: pulumi.Input[str]
) -> ResourceFileArgs:
    container = None
    if config.container is not None:
        container = pulumi.Output.concat(blob_endpoint, "/", config.container)
    return ResourceFileArgs(
        http_url=config.url,
        storage_container_url=container,
        blob_prefix=config.prefix or None,
        file_path=config.path or None,
        file_mode=config.mode,
        identity_reference=ComputeNodeIdentityReferenceArgs(resource_id=identity_id),
    )
