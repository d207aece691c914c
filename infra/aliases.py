"""The past that a resource of this program can have.

azure-native gives each resource an alias for every API version that its type ever had a
module of: forty for a subnet, more than a thousand in the production stack. They are for
programs that named a version in a type, `azure-native:batch/v20240701:Pool`; this program
never does, so no state of it holds such a type, and working out each one's URN was half of
what a preview computed. A transformation of the Platform leaves them out.

What stays: aliases to types without a version, by which azure-native moves a type from one
module to another, and every alias of ours (docs/adr/0025). Who adopts resources that another
program declared under a type with a version gives them an alias by URN.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import pulumi

_VERSIONED = re.compile(r"azure-native:[^/:]+/v\d{8}[a-z]*:\w+")


def without_versions(
    args: pulumi.ResourceTransformationArgs,
) -> pulumi.ResourceTransformationResult | None:
    """A transformation that leaves out aliases to types of one API version."""
    aliases: Sequence[pulumi.Input[pulumi.Alias | str]] = args.opts.aliases or ()
    own = [one for one in aliases if not _is_versioned_type(one)]
    if len(own) == len(aliases):
        return None
    opts = pulumi.ResourceOptions.merge(args.opts, None)
    opts.aliases = own
    return pulumi.ResourceTransformationResult(props=args.props, opts=opts)


def _is_versioned_type(alias: object) -> bool:
    """Whether an alias says nothing but another API version of the type."""
    if not isinstance(alias, pulumi.Alias) or not isinstance(alias.type_, str):
        return False
    others: tuple[object, ...] = (alias.name, alias.parent, alias.stack, alias.project)
    return all(one is ... for one in others) and _VERSIONED.fullmatch(alias.type_) is not None
