"""Rules of applications and of the packages that pools ask for.

There is none about auto-storage: every account of this project has it, and its storage
account has no firewall and no hierarchical namespace, whatever the config says.
"""

from __future__ import annotations

from collections.abc import Iterator

from infra.applications import flattened
from infra.estate import Estate
from infra.findings import near_misses
from infra.rules.rule import Problem, Rule

_MOST_PACKAGES_OF_A_POOL = 10
_USUAL_MOST_APPLICATIONS = 20
_PACKAGES = "https://learn.microsoft.com/azure/batch/batch-application-packages"
_LIMITS = "https://learn.microsoft.com/azure/batch/batch-quota-limit#other-limits"


def _packages_are_of_known_applications(estate: Estate) -> Iterator[Problem]:
    """A pool's packages are of applications that the stack has."""
    known = estate.config.applications
    for pool in estate.pools:
        for index, package in enumerate(pool.application_packages):
            if package.application not in known:
                have = ", ".join(sorted(known)) or "none"
                yield Problem(
                    f"{pool.path}.application_packages[{index}].application",
                    f"there is no application '{package.application}' and Batch would refuse "
                    f"the pool; hpc:applications has {have}"
                    f"{near_misses(package.application, known)}",
                )


def _pools_have_few_packages(estate: Estate) -> Iterator[Problem]:
    """A pool has at most 10 application packages."""
    for pool in estate.pools:
        count = len(pool.application_packages)
        if count > _MOST_PACKAGES_OF_A_POOL:
            yield Problem(
                f"{pool.path}.application_packages",
                f"{count} packages are more than the {_MOST_PACKAGES_OF_A_POOL} that Batch "
                "brings to a pool; let tasks name theirs, or put several programs into one",
            )


def _variables_differ(estate: Estate) -> Iterator[Problem]:
    """No two applications have the same environment variable on a node."""
    seen: dict[str, str] = {}
    for name in sorted(estate.config.applications):
        folded = flattened(name).lower()
        if folded in seen:
            yield Problem(
                f"applications.{name}",
                f"Batch takes names in any case and flattens hyphens in variables, so that "
                f"'{name}' and '{seen[folded]}' would both be AZ_BATCH_APP_PACKAGE_"
                f"{flattened(name)}; give one another name",
            )
        seen.setdefault(folded, name)


def _versions_are_published_first(estate: Estate) -> Iterator[Problem]:
    """A version that the stack names is published before the stack is deployed."""
    for name, config in sorted(estate.config.applications.items()):
        if config.default_version is not None:
            yield Problem(
                f"applications.{name}.default_version",
                f"Azure refuses a default version that is not published: deploy once without "
                f"it, publish {name} {config.default_version}, and deploy again; or leave it "
                "to `python -m jobs publish --default`",
            )
    for pool in estate.pools:
        for index, package in enumerate(pool.application_packages):
            which = package.version or "a default version"
            yield Problem(
                f"{pool.path}.application_packages[{index}]",
                f"Batch refuses the pool until {package.application} has {which}: deploy once "
                "without this, publish it (`python -m jobs publish`), and deploy again. A "
                "workload may name the application without the pool",
            )


def _applications_are_few(estate: Estate) -> Iterator[Problem]:
    """An account has few applications."""
    count = len(estate.config.applications)
    if count > _USUAL_MOST_APPLICATIONS:
        yield Problem(
            "applications",
            f"{count} applications are more than the {_USUAL_MOST_APPLICATIONS} that an "
            "account usually has; make versions of one, or ask for more",
        )


RULES = (
    Rule(
        code="APP001",
        severity="error",
        source=_PACKAGES,
        judge=_packages_are_of_known_applications,
    ),
    Rule(code="APP002", severity="error", source=_LIMITS, judge=_pools_have_few_packages),
    Rule(
        code="APP003",
        severity="error",
        source=f"{_PACKAGES}#execute-the-installed-applications",
        judge=_variables_differ,
    ),
    Rule(code="APP004", severity="warning", source=_PACKAGES, judge=_versions_are_published_first),
    Rule(code="APP005", severity="warning", source=_LIMITS, judge=_applications_are_few),
)
