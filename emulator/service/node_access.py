"""Handlers of what people do on a node: accounts, logins, logs, and its extensions.

A node is a directory of this machine. An account that is made on one is kept with it and
gone with it, but no account of the machine is made: whoever logs in is a user of the
machine. Extensions are shown, and never run.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from emulator.engine import node_users, nodes
from emulator.engine.refusal import Refused, invalid
from emulator.engine.world import Node
from emulator.service import bodies, render
from emulator.service.bodies.parts import url as check_url
from emulator.service.call import Call, Reply, sorted_keys
from emulator.service.nodes import find
from emulator.service.values import instant, parse_instant

EXTENSION_MEMBERS = ("provisioningState", "instanceView", "vmExtension")
SSH_PORT = 22


def _expiry(body: dict[str, Any]) -> int | None:
    return parse_instant(body["expiryTime"]) if "expiryTime" in body else None


def add_user(call: Call) -> Reply:
    """POST .../users."""
    body = call.body(bodies.node_user)
    node = find(call)
    call.host.run(
        node_users.add, node, body["name"], is_admin=body["isAdmin"], expiry=_expiry(body)
    )
    url = f"{call.base}{call.raw_path.rstrip('/')}/{body['name']}"
    return Reply(status=201, service_id=url, location=url)


def put_user(call: Call) -> Reply:
    """PUT .../users/{userName}."""
    body = call.body(bodies.node_user_put)
    call.host.run(node_users.replace, find(call), call.path["userName"], expiry=_expiry(body))
    return Reply(service_id=True)


def delete_user(call: Call) -> Reply:
    """DELETE .../users/{userName}."""
    call.host.run(node_users.delete, find(call), call.path["userName"])
    return Reply()


def get_remote_login_settings(call: Call) -> Reply:
    """GET .../remoteloginsettings: the node is this machine, by the node's own address."""
    node = _up(call)
    return Reply(
        body={"remoteLoginIPAddress": node.ip, "remoteLoginPort": SSH_PORT},
        context="Microsoft.Azure.Batch.Protocol.Entities.RemoteLoginSettings",
        service_id=True,
    )


def _up(call: Call) -> Node:
    node = find(call)
    nodes.check_up(node)
    return node


# Extensions


def _extension(node: Node, extension: dict[str, Any], names: render.Names) -> dict[str, Any]:
    state: str
    view: dict[str, Any]
    if node.booted is None:
        state, view = "Creating", {}
    else:
        status = {
            "code": "ProvisioningState/succeeded",
            "displayStatus": "Provisioning succeeded",
            "level": "Warning",
            "message": "The emulator shows extensions and runs none",
            "time": instant(node.booted),
        }
        state, view = "Succeeded", {"name": extension["name"], "statuses": [status]}
    shown = {**extension}
    shown.setdefault("enableAutomaticUpgrade", False)
    members = {"provisioningState": state, "instanceView": view, "vmExtension": shown}
    return render.ordered(members, EXTENSION_MEMBERS, names)


def _extensions(node: Node) -> dict[str, dict[str, Any]]:
    machine = node.pool.body["virtualMachineConfiguration"]
    found = machine.get("extensions") or ()
    return {extension["name"].lower(): extension for extension in found}


def list_extensions(call: Call) -> Reply:
    """GET .../extensions."""
    node = find(call)
    found = _extensions(node)
    return call.listing(
        "extensions",
        EXTENSION_MEMBERS,
        sorted_keys(found),
        lambda key, names: _extension(node, found[key], names),
    )


def get_extension(call: Call) -> Reply:
    """GET .../extensions/{extensionName}."""
    node = find(call)
    found = _extensions(node).get(call.path["extensionName"].lower())
    if found is None:
        raise Refused("VMExtensionNotFound")
    return call.entity(
        "extensions",
        EXTENSION_MEMBERS,
        lambda names: _extension(node, found, names),
    )


# Logs


def upload_logs(call: Call) -> Reply:
    """POST .../uploadbatchservicelogs: what the node logged in a span of time, to a container."""
    body = call.body(bodies.upload_logs)
    node = _up(call)
    check_url(body["containerUrl"], "containerUrl")
    since = parse_instant(body["startTime"])
    until = parse_instant(body["endTime"]) if "endTime" in body else None
    if until is not None and until < since:
        raise invalid("endTime", body["endTime"], "endTime must not be before startTime")
    number = sha256(call.host.name.encode()).hexdigest()[:16].upper()
    prefix = f"{call.host.name}-{number}/{node.pool.id}/{node.id}/{call.request_id}"
    count = call.host.upload_logs(
        node, body["containerUrl"], body.get("identityReference"), prefix, (since, until)
    )
    return Reply(
        body={"virtualDirectoryName": prefix, "numberOfFilesUploaded": count},
        context="Microsoft.Azure.Batch.Protocol.Entities.UploadBatchServiceLogsResult",
    )
