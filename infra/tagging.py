"""The stack's tags on every resource that can have some.

A transformation of the Platform, which all its children inherit: no component says a word of
tags, and one that somebody adds tomorrow is tagged without knowing of it. Tags that a resource
is given by its component stay, and only those that are missing are added. What can have tags
is what azure-native's class has them as an argument of.
"""

from __future__ import annotations

from collections.abc import Mapping

import pulumi

_TAGS = "tags"


def tagging(tags: Mapping[str, str]) -> pulumi.ResourceTransformation:
    """A transformation that adds tags.

    Args:
        tags: Of the stack.
    """

    def transform(
        args: pulumi.ResourceTransformationArgs,
    ) -> pulumi.ResourceTransformationResult | None:
        props = args.props
        if not args.type_.startswith("azure-native:") or _TAGS not in props:
            return None
        own = props[_TAGS]
        merged: pulumi.Input[dict[str, str]]
        if own is None or isinstance(own, Mapping):
            # Plain where it can be, so that a preview shows it.
            merged = {**tags, **(own or {})}
        else:
            merged = pulumi.Output.from_input(own).apply(lambda known: {**tags, **(known or {})})
        return pulumi.ResourceTransformationResult(props={**props, _TAGS: merged}, opts=args.opts)

    return transform
