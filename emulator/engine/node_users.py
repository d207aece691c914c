"""Accounts that clients make on a node: kept with it, gone with it, or when they expire."""

from __future__ import annotations

from emulator.clock import seconds
from emulator.engine.core import Core
from emulator.engine.nodes import check_up
from emulator.engine.refusal import Refused
from emulator.engine.world import Node

_DEFAULT_LIFE = seconds(24 * 3600)
"""An account without an expiry time lives for a day (`BatchNodeUserCreateOptions`)."""


def _usable(core: Core, node: Node) -> None:
    check_up(node)
    expired = [name for name, user in node.users.items() if user["expiry"] <= core.now]
    for name in expired:
        del node.users[name]


def add(core: Core, node: Node, name: str, *, is_admin: bool, expiry: int | None) -> None:
    """Makes an account.

    Raises:
        Refused: `NodeUserExists`, or `NodeNotReady`.
    """
    _usable(core, node)
    if name.lower() in node.users:
        raise Refused("NodeUserExists")
    node.users[name.lower()] = {"isAdmin": is_admin, "expiry": _expiry(core, expiry)}
    core.save(node)


def replace(core: Core, node: Node, name: str, *, expiry: int | None) -> None:
    """Changes an account: its expiry time; its password is not kept.

    Raises:
        Refused: `NodeUserNotFound`, or `NodeNotReady`.
    """
    _usable(core, node)
    user = _get(node, name)
    user["expiry"] = _expiry(core, expiry)
    core.save(node)


def delete(core: Core, node: Node, name: str) -> None:
    """Removes an account.

    Raises:
        Refused: `NodeUserNotFound`, or `NodeNotReady`.
    """
    _usable(core, node)
    _get(node, name)
    del node.users[name.lower()]
    core.save(node)


def _expiry(core: Core, asked: int | None) -> int:
    return core.now + _DEFAULT_LIFE if asked is None else asked


def _get(node: Node, name: str) -> dict[str, object]:
    user = node.users.get(name.lower())
    if user is None:
        raise Refused("NodeUserNotFound")
    return user
