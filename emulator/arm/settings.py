"""The project's settings as the engine is given them: copies that it may write to.

Which secrets manager a stack has is the local state's to say, not the file's. A file of the
project may hold the salt of another state's passphrase (a plain `pulumi` notes it there, and
so does a stack in Azure) or name a key vault; the copy leaves both out, and the engine takes
what the state says (`PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER`). Nothing is decrypted here:
that a value was encrypted for another state is told by the salts, which lie open.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from emulator.errors import LocalStateError, StackError
from emulator.local import replace_file

SALT: Final = "encryptionsalt"
_SECRETS_MANAGER: Final = (SALT, "secretsprovider", "encryptedkey")
"""Keys beside `config` that say how a stack's secrets are encrypted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StackSettings:
    """The settings of one stack of one project.

    Attributes:
        project: Directory with `Pulumi.yaml`.
        stack: Name of the stack.
        work: Directory of the copies.
    """

    project: Path
    stack: str
    work: Path

    @property
    def file(self) -> Path:
        """The stack's settings in the project."""
        return self.project / f"Pulumi.{self.stack}.yaml"

    def project_name(self) -> str:
        """Name of the project.

        Raises:
            LocalStateError: `Pulumi.yaml` cannot be read.
        """
        return str(_read_yaml(self.project / "Pulumi.yaml").get("name"))

    def copy(self) -> None:
        """Copies both files, without what they say of a secrets manager.

        Raises:
            StackError: The stack has none.
            LocalStateError: One cannot be read.
        """
        settings = self._read()
        for key in _SECRETS_MANAGER:
            settings.pop(key, None)
        self.work.mkdir(parents=True, exist_ok=True)
        _write_yaml(self.work / self.file.name, settings)
        _write_yaml(self.work / "Pulumi.yaml", _read_yaml(self.project / "Pulumi.yaml"))

    def has_salt_other_than(self, salt: str | None) -> bool:
        """Whether the project's file holds a salt, and not the state's."""
        return self._read().get(SALT, salt) != salt

    def require_secrets_of(self, salt: str | None) -> None:
        """Refuses values that were encrypted for another state than that of a salt.

        Raises:
            StackError: There are such values.
        """
        settings = self._read()
        secret = sorted(_secrets_in(settings.get("config")))
        ours = settings.get(SALT, salt) == salt and not settings.get("encryptedkey")
        if ours or not secret:
            return
        raise StackError(
            f"{self.file.name} holds secrets that were encrypted elsewhere, and the local state "
            f"cannot read them: {', '.join(secret)}.\n"
            "Give the laptop a stack of its own: copy the file to Pulumi.NAME.yaml without these "
            f"values and without {', '.join(_SECRETS_MANAGER)}, then\n"
            '  eval "$(python -m emulator env --stack NAME)"\n'
            "  pulumi config set --secret KEY -s NAME"
        )

    def _read(self) -> dict[str, Any]:
        if not self.file.exists():
            known = sorted(self.project.glob("Pulumi.*.yaml"))
            names = ", ".join(one.name.split(".")[1] for one in known) or "none"
            raise StackError(
                f"there is no config for stack {self.stack}: {self.file} does not exist.\n"
                f"Stacks with config: {names}."
            )
        return _read_yaml(self.file)


def _secrets_in(config: object, path: str = "") -> Iterator[str]:
    """Paths of encrypted values in a stack's config."""
    if isinstance(config, Mapping):
        if config.keys() == {"secure"}:
            yield path
            return
        for key, value in config.items():
            yield from _secrets_in(value, f"{path}.{key}" if path else str(key))
    elif isinstance(config, list):
        for index, value in enumerate(config):
            yield from _secrets_in(value, f"{path}[{index}]")


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise LocalStateError(f"{path} cannot be read: {error}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise LocalStateError(f"{path} holds no settings but a {type(content).__name__}")
    return content


def _write_yaml(path: Path, content: Mapping[str, Any]) -> None:
    replace_file(path, yaml.safe_dump(dict(content), sort_keys=False).encode())
