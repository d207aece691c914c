"""Tells secrets that stand where everybody reads them: in config, and in what is registered.

Names of variables and the shapes of keys, signatures and passwords in texts are known here
once, for the rule of config files and the rule of resources. A guess by nature: a secret of
no known shape under a harmless name passes, and a finding may be silenced with a reason.
Fields that are made for secrets, which Pulumi encrypts, are not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

_NAME: Final = re.compile(
    r"(PASSWORD|PASSWD|SECRET|TOKEN|(ACCOUNT|ACCESS|API|SAS)_?KEY)$", re.IGNORECASE
)
# What a shell puts in when it runs (`password=$PW`) is no secret by itself.
_TEXT: Final = re.compile(
    r"[?&]sig=[\w%+/=-]{8,}"
    r"|(--account-key[= ]|account[-_]?key=)[\"']?[^\s$`\"',]"
    r"|(?<![A-Za-z])pass(word|wd)?=[\"']?[^\s$`\"',]"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----",
    re.IGNORECASE,
)
# Mappings whose keys are names that a person chose.
_NAMED: Final = frozenset({"environment", "metadata", "settings"})
_MADE_FOR_SECRETS: Final = frozenset(
    {"accountKey", "password", "protectedSettings", "sasKey", "sshPrivateKey"}
)


def is_secret(text: str, *, name: str = "") -> bool:
    """Whether a text, under a name if it has one, looks like a secret."""
    return bool(text and (_NAME.search(name) or _TEXT.search(text)))


def secrets_in(value: Any, path: str = "") -> Iterator[str]:
    """Where a tree of mappings and sequences holds what looks like a secret.

    Args:
        value: Mappings, sequences and plain values, as config or a resource has them.
        path: Where it stands; keys and positions are joined to it with dots.
    """
    if isinstance(value, str):
        if is_secret(value):
            yield path
    elif isinstance(value, Mapping):
        # Azure writes variables and metadata as pairs.
        name, text = value.get("name"), value.get("value")
        if isinstance(name, str) and isinstance(text, str) and is_secret(text, name=name):
            yield f"{path}.{name}"
            return
        named = path.rpartition(".")[2] in _NAMED
        for key, item in value.items():
            where = f"{path}.{key}" if path else str(key)
            if key in _MADE_FOR_SECRETS:
                continue
            if named and isinstance(item, str) and is_secret(item, name=str(key)):
                yield where
            else:
                yield from secrets_in(item, where)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from secrets_in(item, f"{path}.{index}")
