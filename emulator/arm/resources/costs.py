"""`Microsoft.Consumption` and `Microsoft.CostManagement`: budgets, of which nothing is spent."""

from __future__ import annotations

from typing import Any, Final

from emulator.arm.kinds import Context, NameRule, ResourceType

_NAME: Final = NameRule(
    pattern=r"[A-Za-z0-9_-]{1,63}", text="1-63 letters, digits, hyphens and underscores"
)


def _outputs(context: Context) -> dict[str, Any]:
    return {
        "currentSpend": {"amount": 0, "unit": "USD"},
        "forecastSpend": {"amount": 0, "unit": "USD"},
        "eTag": context.etag,
    }


TYPES: Final = (
    ResourceType(
        token="azure-native:consumption:Budget",  # noqa: S106 - a type token
        id_format="/{scope}/providers/Microsoft.Consumption/budgets/{budgetName}",
        name=_NAME,
        outputs=_outputs,
    ),
    ResourceType(
        token="azure-native:costmanagement:Budget",  # noqa: S106 - a type token
        id_format="/{scope}/providers/Microsoft.CostManagement/budgets/{budgetName}",
        name=_NAME,
        outputs=_outputs,
    ),
)
