"""Handlers of applications, and what a pool may refer to.

The data plane tells only what nodes can have: applications with an active version, and of
those the active versions. Everything else about them is Resource Manager's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emulator.applications.catalogue import Application
from emulator.engine.refusal import Refused
from emulator.service import render
from emulator.service.call import Call, Host, Reply, sorted_keys

_MEMBERS = ("id", "versions", "displayName")


def list_applications(call: Call) -> Reply:
    """GET /applications."""
    found = {one.name.lower(): one for one in call.host.applications.all() if _versions(one)}
    return call.listing(
        "listapplicationsummariesresponses",
        _MEMBERS,
        sorted_keys(found),
        lambda key, names: _render(found[key], names),
    )


def get_application(call: Call) -> Reply:
    """GET /applications/{applicationId}."""
    found = call.host.applications.find(call.path["applicationId"])
    if found is None or not _versions(found):
        raise Refused("ApplicationNotFound")
    return call.entity(
        "getapplicationsummaryresponse", _MEMBERS, lambda names: _render(found, names)
    )


def check_references(host: Host, members: Mapping[str, Any]) -> None:
    """Refuses a pool's reference to what nodes cannot have.

    Raises:
        Refused: `InvalidApplicationPackageReferences`, each named as it was asked for.
    """
    wrong = {
        one["applicationId"].lower(): "The specified application package does not exist."
        for one in members.get("applicationPackageReferences") or ()
        if host.applications.resolve(one["applicationId"], one.get("version")).problem
    }
    if wrong:
        raise Refused("InvalidApplicationPackageReferences", wrong)


def _versions(application: Application) -> list[str]:
    return [one.version for one in application.packages.values() if one.is_active]


def _render(application: Application, names: render.Names) -> dict[str, Any]:
    members = {
        "id": application.name,
        "versions": _versions(application),
        "displayName": application.display_name,
    }
    return render.ordered(members, _MEMBERS, names)
