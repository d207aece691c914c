"""Batch's pool and account, as the engine may hand them back to the program.

`pulumi destroy --run-program` runs the program, because the hook that protects busy pools
is in it (`infra.hooks`), and answers a resource that the state no longer has with the
inputs that the program gave. azure-native takes the identities of both resources as a list
and types them as a mapping in what comes back; given the list, the SDK stops the program
with an assertion, and what is left of a half-destroyed stack could never be destroyed.

So the two are declared here once more with an `identity` that has no type. Nobody reads it:
the identities are resources of their own. Everything else is azure-native's.
"""

from __future__ import annotations

from typing import Any, cast

import pulumi
from pulumi_azure_native import batch


class Pool(batch.Pool):
    """azure-native's pool."""

    @property
    @pulumi.getter
    def identity(self) -> pulumi.Output[Any]:
        """Its identities, in either shape."""
        return cast("pulumi.Output[Any]", pulumi.get(self, "identity"))


class BatchAccount(batch.BatchAccount):
    """azure-native's Batch account."""

    @property
    @pulumi.getter
    def identity(self) -> pulumi.Output[Any]:
        """Its identities, in either shape."""
        return cast("pulumi.Output[Any]", pulumi.get(self, "identity"))
