"""Where a stack's config is read from: its file, or the engine.

Both ways give the same raw mapping, key without namespace to value, which
`infra.checking.plan_stack` validates. A key without a namespace is the project's, as
Pulumi has it. Keys of other namespaces (`azure-native:…`) are the business of others;
those that look like a misspelt namespace of this project are kept whole, to be told of.
Secrets are not read: this program has none, and an encrypted value in its namespace is
refused by the models as the object that it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from infra.config import NAMESPACE
from infra.equipment import SECRETS_NAMESPACE
from infra.errors import StackFileError
from infra.findings import near_misses

PROJECT_ROOT = Path(__file__).resolve().parent.parent
STACK_FILE_KEYS = ("config", "encryptedkey", "encryptionsalt", "environment", "secretsprovider")
"""All that Pulumi reads at the top of a stack file (`workspace.ProjectStack` of its SDK)."""
_OWN_NAMESPACES = (NAMESPACE, SECRETS_NAMESPACE)


def stack_file(stack: str, *, root: Path = PROJECT_ROOT) -> Path:
    """The file of a stack's config."""
    return root / f"Pulumi.{stack}.yaml"


def stack_names(*, root: Path = PROJECT_ROOT) -> list[str]:
    """Every stack with a file, in order of name."""
    found = (
        path.name.removeprefix("Pulumi.").removesuffix(".yaml")
        for path in root.glob("Pulumi.*.yaml")
    )
    return sorted(name for name in found if name)


def read_stack_file(stack: str, *, root: Path = PROJECT_ROOT) -> dict[str, Any]:
    """The raw config of a stack, with the project's defaults beneath it.

    Raises:
        StackFileError: There is no such stack file, or a file is not what it should be.
    """
    file = stack_file(stack, root=root)
    if Path(stack).name != stack or not file.is_file():
        names = stack_names(root=root)
        raise StackFileError(
            f"there is no stack '{stack}' here: {file.name} does not exist.\n"
            f"Stacks with a file: {', '.join(names) or 'none'}."
        )
    defaults = {
        key: entry["default"]
        for key, entry in _config_of(root / "Pulumi.yaml").items()
        if isinstance(entry, Mapping) and "default" in entry
    }
    return {**defaults, **_config_of(file)}


def read_secret_names(stack: str, *, root: Path = PROJECT_ROOT) -> frozenset[str] | None:
    """Names under `hpc-secrets` in a stack's file, or None where only Pulumi knows them.

    It alone knows them of a stack that takes config from environments of Pulumi ESC.

    Raises:
        StackFileError: The file is not what it should be.
    """
    document = _document_of(stack_file(stack, root=root))
    if document.get("environment"):
        return None
    prefix = f"{SECRETS_NAMESPACE}:"
    keys = (str(key) for key in document.get("config") or {})
    return frozenset(key.removeprefix(prefix) for key in keys if key.startswith(prefix))


def read_stray_keys(stack: str, *, root: Path = PROJECT_ROOT) -> tuple[str, ...]:
    """Keys at the top of a stack's file that nobody reads, Pulumi neither; none without a file.

    Raises:
        StackFileError: The file is not what it should be.
    """
    file = stack_file(stack, root=root)
    if not file.is_file():
        return ()
    return tuple(str(key) for key in _document_of(file) if key not in STACK_FILE_KEYS)


def decode_engine_config(values: Mapping[str, Any]) -> dict[str, Any]:
    """The raw config from the engine's: `hpc:KEY` to a string, objects as JSON.

    Args:
        values: All config of the stack, other namespaces included.
    """
    return {
        name: _decoded(value)
        for key, value in values.items()
        if (name := _name_of(key)) is not None
    }


def meant_namespace(key: str) -> str:
    """`; did you mean …?` for a key whose namespace looks like one of the project's."""
    namespace, colon, _ = key.partition(":")
    if not colon or namespace in _OWN_NAMESPACES:
        return ""
    return near_misses(namespace, _OWN_NAMESPACES)


def _name_of(key: str) -> str | None:
    """What the models call a key; None for what is none of theirs."""
    namespace, colon, name = key.partition(":")
    if not colon:
        return key
    if namespace == NAMESPACE:
        return name
    return key if meant_namespace(key) else None


def _decoded(value: Any) -> Any:
    # Scalars stay text, which the models turn into what they need.
    if isinstance(value, str) and value[:1] in {"{", "["}:
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


class _OneKeyLoader(yaml.SafeLoader):
    """Reads plain YAML and refuses a mapping with a key twice, as Pulumi does."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Makes a mapping.

        Raises:
            yaml.constructor.ConstructorError: It has a key twice.
        """
        seen: set[Any] = set()
        # What `<<` merges is overridden by design, and is not here before the mapping is made.
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag.endswith(":merge"):
                continue
            key = self.construct_object(key_node)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f"the key `{key}` is there twice", problem_mark=key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def _document_of(file: Path) -> dict[str, Any]:
    try:
        document = yaml.load(file.read_text(encoding="utf-8"), _OneKeyLoader) or {}  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise StackFileError(f"{file.name} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise StackFileError(f"{file.name} is not YAML: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("config") or {}, dict):
        raise StackFileError(f"{file.name} has no mapping `config:`; see Pulumi.dev.yaml")
    return document


def _config_of(file: Path) -> dict[str, Any]:
    config = _document_of(file).get("config") or {}
    found: dict[str, Any] = {}
    for key, value in config.items():
        name = _name_of(str(key))
        if name in found:
            raise StackFileError(
                f"{file.name} has `{name}` twice, with `{NAMESPACE}:` and without; keep one"
            )
        if name is not None:
            found[name] = value
    return found
