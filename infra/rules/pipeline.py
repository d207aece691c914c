"""Rules of the pipeline's identity: tokens that Entra would never find a credential for.

Entra compares issuer, subject and audience of a token with a credential letter by letter,
and tells of a wrong one only when the first run fails to sign in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import urlsplit

from infra.estate import Estate
from infra.findings import near_misses
from infra.pipeline import FederatedCredentialConfig, expected_audience
from infra.rules.rule import Problem, Rule

_MOST_CREDENTIALS = 20
_GUID = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Issuer:
    """Who signs tokens, and what theirs look like.

    Attributes:
        url: Pattern of the issuer.
        url_example: One, with what differs in capitals.
        url_hint: What the capitals stand for.
        subject: Pattern of its subjects.
        subject_example: One, likewise.
    """

    url: str
    url_example: str
    url_hint: str = ""
    subject: str
    subject_example: str


def _entra(host: str) -> _Issuer:
    return _Issuer(
        url=rf"https://{re.escape(host)}/{_GUID}/v2\.0",
        url_example=f"https://{host}/TENANT_ID/v2.0",
        url_hint=", where TENANT_ID is the GUID of the tenant "
        "(`az account show --query tenantId -o tsv`)",
        subject=r"/eid1/c/[^/\s*]+/t/[^/\s*]+/a/[^/\s*]+/[^\s*]+",
        subject_example="/eid1/c/pub/t/…/a/…/sc/…, as the service connection shows it",
    )


DEVOPS_HOST = "vstoken.dev.azure.com"
# What else issues tokens has forms that nobody here knows, and is held to nothing.
_ISSUERS: Mapping[str, _Issuer] = MappingProxyType(
    {
        # https://learn.microsoft.com/azure/devops/pipelines/release/convert-service-connections
        "login.microsoftonline.com": _entra("login.microsoftonline.com"),
        "login.microsoftonline.us": _entra("login.microsoftonline.us"),
        "login.partner.microsoftonline.cn": _entra("login.partner.microsoftonline.cn"),
        DEVOPS_HOST: _Issuer(
            url=rf"https://{re.escape(DEVOPS_HOST)}/{_GUID}",
            url_example=f"https://{DEVOPS_HOST}/ORGANIZATION_ID",
            url_hint=", where ORGANIZATION_ID is a GUID, as the service connection shows it",
            subject=r"sc://[^/*]+/[^/*]+/[^/*]+",
            subject_example="sc://ORGANIZATION/PROJECT/SERVICE_CONNECTION",
        ),
        # https://docs.github.com/actions/reference/security/oidc
        "token.actions.githubusercontent.com": _Issuer(
            url=r"https://token\.actions\.githubusercontent\.com(/[^/\s?#]+)?",
            url_example="https://token.actions.githubusercontent.com",
            subject=r"repo:[^/:\s*]+/[^/:\s*]+:"
            r"(environment:[^*]+|ref:refs/(heads|tags)/[^*]+|pull_request(:[^*]+)?)",
            subject_example="repo:OWNER/REPOSITORY:environment:NAME or "
            "repo:OWNER/REPOSITORY:ref:refs/heads/BRANCH",
        ),
    }
)


def credentials(estate: Estate) -> Iterator[tuple[str, FederatedCredentialConfig]]:
    """The credentials of the pipeline's identity, each with its path in the config."""
    for name, credential in estate.config.pipeline.federated_credentials.items():
        yield f"pipeline.federated_credentials.{name}", credential


def _somebody_signs_in(estate: Estate) -> Iterator[Problem]:
    """Somebody's tokens are taken for the pipeline's identity."""
    config = estate.config.pipeline
    if config.has_identity and not config.federated_credentials:
        yield Problem(
            "pipeline.federated_credentials",
            "nobody can sign in as the pipeline yet: make a service connection with the output "
            "`pipeline` (docs/pipeline.md), and write the issuer and the subject that it shows",
        )


def _an_identity_may_something(estate: Estate) -> Iterator[Problem]:
    """Tokens are taken for an identity that may do something."""
    config = estate.config.pipeline
    if config.federated_credentials and not config.has_identity:
        yield Problem(
            "pipeline.may",
            "no identity is made for the pipeline, because it may do nothing: write [run] for "
            "one that stages, submits and collects, or leave federated_credentials out",
        )


def _issuers_are_urls(estate: Estate) -> Iterator[Problem]:
    """An issuer is a URL as tokens have it, letter by letter."""
    for path, credential in credentials(estate):
        issuer = credential.issuer
        where = f"{path}.issuer"
        try:
            parts = urlsplit(issuer)
            host = parts.hostname or ""
        except ValueError:
            parts, host = urlsplit(""), ""
        if (
            parts.scheme != "https"
            or not host
            or parts.query
            or parts.fragment
            or re.search(r"\s", issuer)
        ):
            yield Problem(
                where,
                f"'{issuer}' names nobody who signs tokens: an issuer is an https URL without "
                "blanks and query, copied from where the pipeline is set up",
            )
        elif known := _ISSUERS.get(host):
            if not re.fullmatch(known.url, issuer):
                yield Problem(
                    where,
                    f"no token of {host} has the issuer '{issuer}', and Entra compares letter by "
                    f"letter, so nobody could sign in; write {known.url_example}{known.url_hint}",
                )
        elif close := near_misses(host, _ISSUERS):
            yield Problem(
                where,
                f"'{host}' is nobody that this program knows{close} Were it another's, silence "
                "this rule with that reason",
            )


def _subjects_are_of_their_issuer(estate: Estate) -> Iterator[Problem]:
    """A subject is whole, has no wildcard and has the form of its issuer's."""
    for path, credential in credentials(estate):
        subject = credential.subject
        host = credential.issuer.removeprefix("https://").partition("/")[0].casefold()
        known = _ISSUERS.get(host)
        if subject != subject.strip() or "*" in subject:
            yield Problem(
                f"{path}.subject",
                f"'{subject}' matches no token: Entra compares subjects letter by letter, blanks "
                "included, and has no wildcards; write one credential for each subject",
            )
        elif known is not None and not re.fullmatch(known.subject, subject):
            yield Problem(
                f"{path}.subject",
                f"tokens of {host} have no subject like '{subject}', so nobody could sign in; "
                f"write {known.subject_example}. Where your organization has subjects of its "
                "own making, silence this rule with that reason",
            )


def _audiences_are_the_clouds(estate: Estate) -> Iterator[Problem]:
    """Tokens are for Entra in the cloud of the region."""
    expected = expected_audience(estate.config.location)
    for path, credential in credentials(estate):
        if credential.audience not in {None, expected}:
            yield Problem(
                f"{path}.audience",
                f"Azure takes no other audience than {expected} in the cloud of "
                f"{estate.config.location}; write that, or leave the key out",
            )


def _credentials_are_few_and_differ(estate: Estate) -> Iterator[Problem]:
    """An identity has at most 20 credentials, no two of which are the same."""
    seen: dict[tuple[str, str], str] = {}
    count = 0
    for path, credential in credentials(estate):
        count += 1
        other = seen.setdefault((credential.issuer, credential.subject), path)
        if other != path:
            yield Problem(
                path,
                f"issuer and subject are those of {other.rpartition('.')[2]}, and Azure takes "
                "each pair once for an identity; leave one of the two out",
            )
    if count > _MOST_CREDENTIALS:
        yield Problem(
            "pipeline.federated_credentials",
            f"{count} credentials are more than the {_MOST_CREDENTIALS} that Azure allows an "
            "identity; let pipelines share one, or sign in by environments instead of branches",
        )


_LIMITS = (
    "https://learn.microsoft.com/entra/workload-id/workload-identity-federation-considerations"
)
_CONNECTIONS = (
    "https://learn.microsoft.com/azure/devops/pipelines/release/configure-workload-identity"
)

RULES = (
    Rule(code="PIP001", severity="warning", source=_CONNECTIONS, judge=_somebody_signs_in),
    Rule(code="PIP002", severity="error", source=_LIMITS, judge=_issuers_are_urls),
    Rule(code="PIP003", severity="error", source=_LIMITS, judge=_subjects_are_of_their_issuer),
    Rule(code="PIP004", severity="error", source=_LIMITS, judge=_audiences_are_the_clouds),
    Rule(code="PIP005", severity="error", source=_LIMITS, judge=_credentials_are_few_and_differ),
    Rule(code="PIP006", severity="warning", source=_CONNECTIONS, judge=_an_identity_may_something),
)
