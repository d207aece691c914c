"""`--live`: Azure is asked through its SDKs, of a server that answers as Azure does."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from emulator.certificate import Certificate
from infra import cli, live, unfinished
from infra.checking import plan_stack
from infra.estate import Estate
from infra.live import ENV_MANAGER, ask_azure
from infra.rules.live import LIVE_RULES, live_findings
from infra.sources import PROJECT_ROOT

SUBSCRIPTION = "11111111-2222-4333-8444-555555555555"
LOCATION = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Batch/locations/eastus"
SKUS = f"{LOCATION}/virtualMachineSkus"
QUOTAS = f"{LOCATION}/quotas"
ACCOUNTS = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Batch/batchAccounts"
IMAGES = "/supportedimages"
OWN_ACCOUNT = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/hpc-dev1/providers/Microsoft.Batch"
    "/batchAccounts/hpcdev1"
)
OWN_POOLS = f"{OWN_ACCOUNT}/pools"
POOLS: dict[str, Any] = {
    "cpu": {"scale": {"max_dedicated_nodes": 4, "max_spot_nodes": 10}},
    "mpi": {"preset": "rdma", "scale": {"max_dedicated_nodes": 2}},
}


def sku(name: str, family: str, vcpus: int, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "familyName": family,
        "capabilities": [{"name": "vCPUs", "value": str(vcpus)}, {"name": "GPUs", "value": "0"}],
        **more,
    }


D4 = sku("Standard_D4s_v5", "standardDSv5Family", 4)
HBV3 = sku("Standard_HB120rs_v3", "standardHBrsv3Family", 120)


def image(publisher: str, offer: str, name: str, agent: str, **more: Any) -> dict[str, Any]:
    return {
        "nodeAgentSKUId": agent,
        "imageReference": {"publisher": publisher, "offer": offer, "sku": name},
        "osType": "linux",
        "verificationType": "verified",
        **more,
    }


UBUNTU = image("canonical", "ubuntu-24_04-lts", "server", "batch.node.ubuntu 24.04")
HPC = image("microsoft-dsvm", "ubuntu-hpc", "2404", "batch.node.ubuntu 24.04")


@dataclass
class Azure:
    """What the server answers, by path; an int is a refusal of that status."""

    url: str = ""
    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    def account(self, **properties: Any) -> None:
        families = {"standardDSv5Family": 100, "standardHBrsv3Family": 240}
        self.answers[ACCOUNTS] = {
            "value": [
                {
                    "id": f"{ACCOUNTS}/other",
                    "name": "other",
                    "location": "eastus",
                    "tags": {"stack": "prod"},
                },
                {
                    "id": OWN_ACCOUNT,
                    "name": "hpcdev1",
                    "location": "eastus",
                    "tags": {"project": "hpc", "stack": "dev"},
                    "properties": {
                        "accountEndpoint": self.url,
                        "dedicatedCoreQuota": 340,
                        "dedicatedCoreQuotaPerVMFamilyEnforced": True,
                        "dedicatedCoreQuotaPerVMFamily": [
                            {"name": name, "coreQuota": quota} for name, quota in families.items()
                        ],
                        "lowPriorityCoreQuota": 40,
                        "poolQuota": 100,
                        **properties,
                    },
                },
            ]
        }


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    found = Certificate(tmp_path_factory.mktemp("tls"))
    found.ensure()
    return found


@pytest.fixture
def azure(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> Iterator[Azure]:
    found = Azure()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            where = urlsplit(self.path)
            if where.path == "/token":
                self._answer(200, token(parse_qs(where.query)["resource"][0]))
                return
            found.asked.append(where.path)
            found.tokens.append(self.headers.get("Authorization", ""))
            answer = found.answers.get(where.path, 404)
            if isinstance(answer, int):
                error = {"code": "AuthorizationFailed", "message": "The client has no right."}
                self._answer(answer, {"error": error})
                return
            skip = parse_qs(where.query).get("$skiptoken")
            if isinstance(answer, list):
                page = int(skip[0]) if skip else 0
                answer = dict(answer[page])
                if page + 1 < len(found.answers[where.path]):
                    following = f"{found.url}{where.path}?$skiptoken={page + 1}"
                    answer["nextLink"] = following
            self._answer(200, answer)

        def _answer(self, status: int, body: Any) -> None:
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.server, certificate.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    found.url = f"https://127.0.0.1:{server.server_port}"
    for name, value in {
        ENV_MANAGER: found.url,
        "ARM_SUBSCRIPTION_ID": SUBSCRIPTION,
        "IDENTITY_ENDPOINT": f"{found.url}/token",
        "IDENTITY_HEADER": "of this test",
        "REQUESTS_CA_BUNDLE": str(certificate.bundle),
        "NO_PROXY": "127.0.0.1",
        "AZURE_TOKEN_CREDENTIALS": "ManagedIdentityCredential",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(unfinished, "RETRIES", 0)
    monkeypatch.setattr(live, "RETRIES", 0)
    found.answers = {
        SKUS: {"value": [D4, HBV3]},
        QUOTAS: {"accountQuota": 3},
        IMAGES: {"value": [UBUNTU, HPC]},
    }
    found.account()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


def token(resource: str) -> dict[str, str]:
    return {
        "access_token": f"for {resource}",
        "expires_on": "4102444800",
        "resource": resource,
        "token_type": "Bearer",
    }


def planned(**config: Any) -> Estate:
    raw = {"pools": POOLS, **config}
    return plan_stack("dev", raw, root=PROJECT_ROOT).deployable()


def codes(estate: Estate) -> dict[str, str]:
    facts = ask_azure(estate)
    assert facts.unasked == ()
    return {one.code: one.message for one in live_findings(estate, facts)}


def test_an_estate_that_azure_can_hold_has_no_finding(azure: Azure) -> None:
    assert codes(planned()) == {}
    assert set(azure.asked) == {SKUS, QUOTAS, ACCOUNTS, IMAGES}
    assert all(found.startswith("Bearer for https://") for found in azure.tokens)


def test_lists_are_read_to_their_last_page(azure: Azure) -> None:
    azure.answers[SKUS] = [{"value": [D4]}, {"value": []}, {"value": [HBV3]}]
    assert codes(planned()) == {}
    assert azure.asked.count(SKUS) == 3


Change = Callable[[Azure], None]


def sizes(*skus: dict[str, Any]) -> Change:
    return lambda azure: azure.answers.update({SKUS: {"value": list(skus)}})


def images(*found: dict[str, Any]) -> Change:
    return lambda azure: azure.answers.update({IMAGES: {"value": list(found)}})


def account(**properties: Any) -> Change:
    return lambda azure: azure.account(**properties)


def full(azure: Azure) -> None:
    azure.answers[QUOTAS] = {"accountQuota": 1}
    azure.answers[ACCOUNTS]["value"].pop()


def family(name: str, quota: int) -> dict[str, Any]:
    return {"dedicatedCoreQuotaPerVMFamily": [{"name": name, "coreQuota": quota}]}


END = "2027-05-31T00:00:00Z"
OTHER_AGENT = image("canonical", "ubuntu-24_04-lts", "server", "batch.node.ubuntu 26.04")
CASES: dict[str, tuple[Change, str]] = {
    "LIV001": (sizes(D4), "does not support Standard_HB120rs_v3 in eastus"),
    "LIV002": (sizes(D4, {**HBV3, "batchSupportEndOfLife": END}), "until 2027-05-31"),
    "LIV003": (account(**family("standardDSv5Family", 15)), "grow to 16 vCPUs"),
    "LIV004": (account(lowPriorityCoreQuota=39), "grow to 40 vCPUs"),
    "LIV005": (account(poolQuota=1), "2 pools and account hpcdev1 may have 1"),
    "LIV006": (full, "could not make its own"),
    "LIV007": (images(OTHER_AGENT, HPC), "write that one"),
    "LIV008": (images(UBUNTU, {**HPC, "batchSupportEndOfLife": END}), "until 2027-05-31"),
}


def test_every_live_rule_has_a_case() -> None:
    assert {rule.code for rule in LIVE_RULES} == set(CASES)


@pytest.mark.parametrize("code", CASES)
def test_what_azure_says_is_judged(code: str, azure: Azure) -> None:
    change, told = CASES[code]
    change(azure)
    estate = planned()
    facts = ask_azure(estate)
    messages = [one.message for one in live_findings(estate, facts) if one.code == code]
    assert messages
    assert told in messages[0]


def test_without_quota_by_family_the_sum_counts(azure: Azure) -> None:
    azure.account(dedicatedCoreQuotaPerVMFamilyEnforced=False, dedicatedCoreQuota=256)
    assert codes(planned()) == {}
    azure.account(dedicatedCoreQuotaPerVMFamilyEnforced=False, dedicatedCoreQuota=255)
    assert set(codes(planned())) == {"LIV003"}


def test_an_image_that_is_gone_is_told_with_its_offer_s_others(azure: Azure) -> None:
    newer = image("microsoft-dsvm", "ubuntu-hpc", "2604", "batch.node.ubuntu 26.04")
    azure.answers[IMAGES] = {"value": [UBUNTU, newer]}
    found = codes(planned())
    assert set(found) == {"LIV007"}
    assert "of this offer it runs 2604" in found["LIV007"]


def test_each_question_fails_apart_and_by_name(azure: Azure) -> None:
    azure.answers[SKUS] = 403
    azure.answers[IMAGES] = 500
    facts = ask_azure(planned())
    assert [one.question for one in facts.unasked] == ["sizes of eastus", "images of hpcdev1"]
    assert "AuthorizationFailed" in facts.unasked[0].reason
    assert "Reader" in facts.unasked[0].remedy
    assert (facts.sizes, facts.images) == (None, None)
    assert facts.quota is not None


def test_before_the_first_deployment_quota_and_images_are_said_to_be_unknown(
    azure: Azure,
) -> None:
    azure.answers[ACCOUNTS]["value"].pop()
    facts = ask_azure(planned())
    assert (facts.account, facts.quota, facts.images) == (None, None, None)
    assert facts.free_accounts == 2
    [unasked] = facts.unasked
    assert "has no Batch account yet" in unasked.reason


def test_another_stack_s_account_is_not_this_one_s(azure: Azure) -> None:
    azure.answers[ACCOUNTS]["value"][1]["tags"]["stack"] = "development"
    assert ask_azure(planned()).account is None


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({ENV_MANAGER: "http://127.0.0.1:1"}, "go over https only"),
        ({ENV_MANAGER: "https://127.0.0.1:1"}, "did not answer"),
        ({"IDENTITY_HEADER": "", "IDENTITY_ENDPOINT": ""}, "nobody is signed in"),
        ({"ARM_SUBSCRIPTION_ID": "", "AZURE_SUBSCRIPTION_ID": "", "PATH": ""}, "no subscription"),
    ],
)
def test_without_network_credential_or_subscription_check_says_so_and_passes(
    variables: dict[str, str],
    told: str,
    azure: Azure,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    # Whoever tests this on a virtual machine of Azure has an identity there.
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential")
    if "IDENTITY_HEADER" not in variables:
        monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")
    with pytest.raises(SystemExit, match="0"):
        cli.main(["check", "--stack", "dev", "--live"])
    out = capsys.readouterr().out
    assert "Pulumi.dev.yaml: 0 errors" in out
    assert "not asked: " in out
    assert told in out
    assert azure.asked == []


def test_check_prints_and_counts_what_azure_says(
    azure: Azure, capsys: pytest.CaptureFixture[str]
) -> None:
    azure.answers[SKUS] = {"value": [HBV3]}
    with pytest.raises(SystemExit, match="1"):
        cli.main(["check", "--stack", "dev", "--live"])
    assert "\npools.cpu.vm_size: LIV001 error: Batch does not" in capsys.readouterr().out
    azure.answers[IMAGES] = 403
    with pytest.raises(SystemExit, match="1"):
        cli.main(["check", "--stack", "dev", "--live", "--json"])
    (stack,) = json.loads(capsys.readouterr().out)["stacks"]
    assert [one["question"] for one in stack["unasked"]] == ["images of hpcdev1"]
    assert {"LIV001"} <= {one["code"] for one in stack["findings"]}


def pool(vm_size: str, dedicated: int, spot: int) -> dict[str, Any]:
    return {
        "name": f"{vm_size}-1a2b3c4d",
        "properties": {
            "vmSize": vm_size,
            "currentDedicatedNodes": dedicated,
            "currentLowPriorityNodes": spot,
        },
    }


def the_plan(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    with pytest.raises(SystemExit, match="0"):
        cli.main(["plan", "--stack", "dev", "--live", *options])
    return capsys.readouterr().out


T4 = sku("Standard_NC4as_T4_v3", "standardNCASv3_T4Family", 4)


def test_the_plan_tells_quota_and_use_beside_what_may_come(
    azure: Azure, capsys: pytest.CaptureFixture[str]
) -> None:
    azure.answers[SKUS] = {"value": [D4, HBV3, T4]}
    azure.answers[OWN_POOLS] = [
        {"value": [pool("STANDARD_D4S_V5", 1, 3)]},
        {"value": [pool("Standard_HB120rs_v3", 2, 0)]},
    ]
    lines = the_plan(capsys).splitlines()
    assert "account hpcdev1, as Azure says:" in lines
    assert "quota standardDSv5Family vCPUs: 8 at most, 4 now, quota 100" in lines
    # Four nodes of 120 in the repository's stack, and a quota of two.
    assert "quota standardHBrsv3Family vCPUs: 480 at most, 240 now, quota 240, too little" in lines
    assert "quota spot vCPUs: 40 at most, 12 now, quota 40" in lines
    assert "quota pools: 3 at most, 2 now, quota 100" in lines
    assert all(len(line) <= 80 for line in lines)
    # Images are for `check`; nobody is asked for what is not told.
    assert IMAGES not in azure.asked
    (stack,) = json.loads(the_plan(capsys, "--json"))["stacks"]
    assert stack["live"]["account"] == "hpcdev1"
    assert stack["live"]["quotas"][0] == {
        "name": "standardDSv5Family",
        "unit": "vCPUs",
        "most": 8,
        "now": 4,
        "quota": 100,
    }


def test_a_quota_for_all_families_is_told_as_one(
    azure: Azure, capsys: pytest.CaptureFixture[str]
) -> None:
    azure.answers[SKUS] = {"value": [D4, HBV3, T4]}
    azure.account(dedicatedCoreQuotaPerVMFamilyEnforced=False, dedicatedCoreQuota=700)
    azure.answers[OWN_POOLS] = {"value": [pool("Standard_D4s_v5", 2, 0)]}
    assert "quota all families vCPUs: 488 at most, 8 now, quota 700\n" in the_plan(capsys)


def test_the_plan_says_what_azure_could_not_be_asked(
    azure: Azure, capsys: pytest.CaptureFixture[str]
) -> None:
    azure.answers[OWN_POOLS] = 403
    out = the_plan(capsys)
    assert "quota spot vCPUs: 40 at most, quota 40\n" in out
    assert "not asked: nodes of hpcdev1: " in out
    assert "AuthorizationFailed" in out
    azure.answers[ACCOUNTS]["value"].pop()
    out = the_plan(capsys)
    # What the stack's file says of quota stands then.
    assert "quota Dsv5: 8 vCPUs at most, quota not given" in out
    assert "not asked: quota and nodes: stack dev has no Batch account yet" in out


def test_use_of_a_size_that_azure_does_not_tell_is_not_guessed(
    azure: Azure, capsys: pytest.CaptureFixture[str]
) -> None:
    azure.answers[OWN_POOLS] = {"value": [pool("Standard_X1", 2, 0)]}
    out = the_plan(capsys)
    assert "quota standardDSv5Family vCPUs: 8 at most, quota 100\n" in out
    assert "quota pools: 3 at most, 1 now, quota 100\n" in out


def test_a_live_rule_is_silenced_like_any_other(azure: Azure) -> None:
    azure.answers[SKUS] = {"value": [D4]}
    estate = planned(ignore={"LIV001": "The region gets the size next week."})
    (finding,) = live_findings(estate, ask_azure(estate))
    assert finding.silenced == "The region gets the size next week."
