"""What the program takes from the engine that runs it: its config, and whose Azure it is."""

from __future__ import annotations

import pulumi
from pulumi.runtime.config import CONFIG, get_config_env
from pulumi_azure_native.authorization import get_client_config

from infra.checking import plan_stack
from infra.errors import InfraError
from infra.estate import Estate
from infra.sources import PROJECT_ROOT, decode_engine_config, read_stray_keys

# Azure draws subscription ids at random; the emulator's begins like no drawn one.
EMULATED_SUBSCRIPTION_PREFIX = "00000000-0000-"


def plan_from_engine() -> Estate:
    """The estate of the stack that the engine runs.

    Warnings and silenced findings go to the engine's log.

    Raises:
        ConfigError: The stack's config has errors.
    """
    values = CONFIG.get() or get_config_env()
    stack = pulumi.get_stack()
    planned = plan_stack(
        stack,
        decode_engine_config(values),
        root=PROJECT_ROOT,
        stray=read_stray_keys(stack, root=PROJECT_ROOT),
    )
    estate = planned.deployable(deploying=True)
    for finding in planned.findings:
        if finding.silenced is None:
            pulumi.log.warn(str(finding))
        else:
            pulumi.log.debug(f"{finding} (silenced: {finding.silenced})")
    return estate


def refuse_shared_keys_in_azure() -> None:
    """Stops a stack meant for the emulator from being deployed to a subscription.

    Raises:
        InfraError: The provider is Azure's.
    """
    subscription = get_client_config().subscription_id
    if not subscription.startswith(EMULATED_SUBSCRIPTION_PREFIX):
        raise InfraError(
            f"this stack uses shared keys, which only the emulator accepts, and the provider "
            f"is subscription {subscription}.\n"
            "Deploy it with `python -m emulator stack up`, or set hpc:authentication to entra."
        )
