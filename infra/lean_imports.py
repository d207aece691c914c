"""Imports of azure-native's services: only the resources that are named.

A service's package imports all of its resources: `network` alone has 290 modules and takes
seconds, of which this program needs a dozen. Once `install` was called, a service's package is
made without running it, and a name is looked for where the generated SDK keeps it: among the
enums, in the module of the resource or function that it names, among the inputs. A name that
is nowhere there runs the package after all, so that nothing is ever missing, only later. To
import `pulumi_azure_native.network.subnet` instead would not do: Python runs the package first.

What it does not do: touch a package that is imported already, or anything of Pulumi's own.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import re
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

_SERVICE = re.compile(r"pulumi_azure_native\.[a-z0-9]+")
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_OWN = frozenset({"provider"})
_PARTS = frozenset({"outputs", "_inputs", "_enums"})


def install() -> None:
    """Makes imports of services lean, from now on and once."""
    if not any(isinstance(finder, _LeanFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _LeanFinder())


class _LeanFinder(importlib.abc.MetaPathFinder):
    """Finds services as Python does, and gives them a lean loader."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if not _SERVICE.fullmatch(fullname) or fullname.rpartition(".")[2] in _OWN:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None and spec.submodule_search_locations:
            spec.loader = _LeanLoader(spec.loader)
        return spec


class _LeanLoader(importlib.abc.Loader):
    """Makes a package that runs when a name of it is nowhere else."""

    def __init__(self, whole: importlib.abc.Loader) -> None:
        self._whole = whole

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._whole.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        def find(name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            for place in _places(name):
                found = _import(f"{module.__name__}.{place}")
                if found is not None and hasattr(found, name):
                    value = getattr(found, name)
                    setattr(module, name, value)
                    return value
            if (submodule := _import(f"{module.__name__}.{name}")) is not None:
                return submodule
            del module.__dict__["__getattr__"]
            self._whole.exec_module(module)
            return getattr(module, name)

        module.__dict__["__getattr__"] = find


def _places(name: str) -> tuple[str, ...]:
    """Submodules that may have a name; where several have it, as the package itself decides.

    A package takes enums first, then resources and functions, then inputs: an input of the
    same name hides the arguments of a resource (`SubnetArgs`), a resource hides an enum.
    """
    if name in _PARTS:
        return ()
    if name.endswith(("Args", "ArgsDict")):
        name = name.removesuffix("Dict").removesuffix("Args")
        return ("_inputs", _words(name))
    # Inputs of functions have no suffix (`SubResource`).
    return (_words(name.removesuffix("_output")), "_enums", "_inputs")


def _words(name: str) -> str:
    return _WORDS.sub("_", name).lower()


def _import(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return None
