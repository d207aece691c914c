"""Declares the whole Batch estate in Azure from a typed stack config.

Pure parts read, plan and judge: `config` (what a person writes), `sizes` and `images`
(facts of Azure), `pools` and `subnets` (planners), `estate` (all of it together) and
`rules` (what is wrong with it). `components` turn a planned estate into resources and
`platform` alone wires them. Nothing here talks to Azure outside the Pulumi engine, and
the pure parts do not even import Pulumi, so that `python -m infra check` answers at once.
"""

from infra.lean_imports import install

# Before azure-native itself is imported, which prepares all of its services.
install()
