"""Rules of tags: what every resource of the stack must be able to have."""

from __future__ import annotations

from collections.abc import Iterator

from infra.estate import Estate
from infra.rules.rule import Problem, Rule

_MOST_TAGS = 50
_LONGEST_VALUE = 256
# Of storage accounts; other resources take 512.
_LONGEST_NAME = 128
_FORBIDDEN = frozenset("<>%&\\?/")


def _tags_fit_every_resource(estate: Estate) -> Iterator[Problem]:
    """Every resource takes the stack's tags."""
    for name, value in estate.config.tags.items():
        if not 0 < len(name) <= _LONGEST_NAME or not _FORBIDDEN.isdisjoint(name):
            yield Problem(
                f"tags.{name or repr('')}",
                f"Azure takes no such tag: a name has 1 to {_LONGEST_NAME} characters and none "
                f"of {' '.join(sorted(_FORBIDDEN))}; write another name",
            )
        if len(value) > _LONGEST_VALUE:
            yield Problem(
                f"tags.{name}",
                f"the value has {len(value)} characters and Azure takes {_LONGEST_VALUE}; "
                "shorten it",
            )
    own = len(estate.tags) - len(estate.config.tags)
    if len(estate.tags) > _MOST_TAGS:
        yield Problem(
            "tags",
            f"with the program's own there are {len(estate.tags)} tags, and a resource has "
            f"{_MOST_TAGS} at most; leave {_MOST_TAGS - own} here",
        )


RULES = (
    Rule(
        code="TAG001",
        severity="error",
        source="https://learn.microsoft.com/azure/azure-resource-manager/management/tag-resources",
        judge=_tags_fit_every_resource,
    ),
)
