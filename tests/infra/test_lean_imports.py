"""Only the resources that are named are imported, and none is missing for that."""

from __future__ import annotations

import subprocess
import sys

import pytest

from infra.sources import PROJECT_ROOT

# What nobody declares here, of the services with the most modules.
UNUSED = (
    "batch.get_pool",
    "storage.queue",
    "network.virtual_network_gateway",
    "network.azure_firewall",
    "monitor.autoscale_setting",
)
SAME = """
import importlib, re, sys, types

def places(package, names):
    return {{name: (value.__module__, value.__qualname__)
            for name in names if isinstance(value := getattr(package, name), type)
            or isinstance(value, types.FunctionType)}}

package = importlib.import_module("pulumi_azure_native.{service}")
package.outputs
# Names that only the whole package can place come last: they run it.
late = re.compile(r"\\w+Result|\\w+InitArgs|typing")
names = [name for name in vars(package) if name[0] != "_"]
names.sort(key=lambda name: bool(late.fullmatch(name)))
whole = places(package, names)
for name in [n for n in sys.modules if n.startswith("pulumi_azure_native.{service}")]:
    del sys.modules[name]
from infra.lean_imports import install
install()
lean = importlib.import_module("pulumi_azure_native.{service}")
assert len(vars(lean)) < len(names) / 2, "nothing is lean"
early = [name for name in names if not late.fullmatch(name)]
assert places(lean, early) == {{n: v for n, v in whole.items() if n in early}}
assert "__getattr__" in vars(lean), "a name ran the whole package"
assert places(lean, names) == whole
try:
    lean.NoSuchThing
except AttributeError:
    pass
else:
    raise AssertionError("there is a NoSuchThing")
print(len(names))
"""


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT_ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_program_runs_no_whole_package_of_a_service() -> None:
    loaded = run("import infra.platform, sys; print(*sys.modules, sep='\\n')").split()
    assert "pulumi_azure_native.network.virtual_network" in loaded
    assert [name for name in UNUSED if f"pulumi_azure_native.{name}" in loaded] == []


# Those whose inputs hide the arguments of a resource, and the one with the most modules.
@pytest.mark.slow
@pytest.mark.parametrize("service", ["batch", "monitor", "network", "storage"])
def test_every_name_of_a_service_is_what_the_whole_package_says(service: str) -> None:
    assert int(run(SAME.format(service=service))) > 100
