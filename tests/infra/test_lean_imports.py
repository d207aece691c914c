"""Only the resources that are named are imported, and none is missing for that."""

from __future__ import annotations

import subprocess
import sys

import pytest

from infra.sources import PROJECT_ROOT

# What nobody declares here, of the services with the most modules.
UNUSED = (
    "network.virtual_network_gateway",
    "network.azure_firewall",
    "monitor.autoscale_setting",
)
SAME = """
import importlib, sys
package = importlib.import_module("pulumi_azure_native.{service}")
package.outputs
whole = dict(vars(package))
names = {{n: getattr(v, "__qualname__", n) for n, v in whole.items() if not n.startswith("_")}}
for name in [n for n in sys.modules if n.startswith("pulumi_azure_native.{service}")]:
    del sys.modules[name]
from infra.lean_imports import install
install()
lean = importlib.import_module("pulumi_azure_native.{service}")
assert len(vars(lean)) < len(whole) / 2, "nothing is lean"
for name, known in names.items():
    assert getattr(getattr(lean, name), "__qualname__", name) == known, name
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


def test_the_program_imports_no_resource_that_it_does_not_declare() -> None:
    loaded = run("import infra.platform, sys; print(*sys.modules, sep='\\n')").split()
    assert "pulumi_azure_native.network.virtual_network" in loaded
    assert [name for name in UNUSED if f"pulumi_azure_native.{name}" in loaded] == []


@pytest.mark.parametrize("service", ["batch", "privatedns"])
def test_every_name_of_a_service_is_found(service: str) -> None:
    assert int(run(SAME.format(service=service))) > 20
