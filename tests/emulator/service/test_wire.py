import asyncio
import os
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from azure.batch._operations import _operations as sdk

from emulator.engine import pools
from emulator.service import files
from emulator.service.auth import sign, string_to_sign
from emulator.service.errors import CATALOGUE
from emulator.service.routes import ROUTES
from tests.emulator.service.wire import BASE, JOB, POOL, VERSION, Wire
from tests.emulator.simulation import ACCOUNT, KEY, until

TASK = {"id": "t", "commandLine": "run"}
JOB_SPEC = {"poolInfo": {"poolId": "p"}}


async def add_tasks(wire: Wire, *ids: str) -> None:
    items = [{"id": task_id, "commandLine": "run"} for task_id in ids]
    reply = await wire.send("POST", "/jobs/j/addtaskcollection", {"value": items})
    assert {item["status"] for item in reply.json()["value"]} == {"Success"}


async def run_one(wire: Wire, command: str = "print hello") -> None:
    """Has a task `t` run to its end on a node."""
    await wire.send("POST", "/pools/p/resize", {"targetDedicatedNodes": 1})
    wire.clock.advance(3600)
    await wire.send("POST", "/pools/p/resize", {"targetDedicatedNodes": 1})
    wire.clock.advance(3600)
    await wire.send("POST", "/jobs/j/tasks", {"id": "t", "commandLine": command})
    wire.clock.advance(10)
    task = wire.server.host(ACCOUNT).world.jobs["j"].tasks["t"]
    await until(lambda: task.state == "completed")


def code(reply: Any) -> tuple[int, str]:
    return reply.status_code, reply.json()["code"]


def test_the_table_has_every_operation_of_the_official_client() -> None:
    source = Path(sdk.__file__).read_text(encoding="utf-8")
    builders = source.split("\ndef build_batch_")[1:]
    paths = [re.search(r'_url = "([^"]+)"', text) for text in builders]
    verbs = [re.search(r'method="(\w+)"', text) for text in builders]
    official = {
        (verb[1], re.sub(r"\{\w+\}", "{}", path[1]))
        for verb, path in zip(verbs, paths, strict=True)
        if verb and path
    }
    ours = {(route.method, re.sub(r"\{\w+\}", "{}", route.path)) for route in ROUTES}
    assert len(official) == len(ROUTES) == 72
    assert ours == official


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("GET", "/certificates", "list_certificates"),
        (
            "DELETE",
            "/certificates(thumbprintAlgorithm=sha1,thumbprint=cff2ab63c8c955aaf71989efa641b906d558d9fb)",
            "delete_certificate",
        ),
        ("GET", "/pools/p/nodes/n/rdp", "get_remote_desktop"),
        ("GET", "/nodeagentskus", "list_node_agent_skus"),
    ],
)
async def test_what_the_service_gave_up_is_refused_by_its_name(
    wire: Wire, method: str, path: str, name: str
) -> None:
    reply = await wire.send(method, path, version="2022-10-01.16.0")
    assert reply.status_code == 501
    told = {value["key"]: value["value"] for value in reply.json()["values"]}
    assert (reply.json()["code"], told) == ("NotImplemented", {"Operation": name})


def test_every_operation_is_there() -> None:
    assert not [route.name for route in ROUTES if route.handler is None]


@pytest.mark.parametrize(
    ("path", "body", "expected", "named"),
    [
        ("/pools", {**POOL, "id": "q", "vmsize": "x"}, "InvalidRequestBody", "'vmsize'"),
        ("/pools", {"id": "q"}, "MissingRequiredProperty", "vmSize"),
        ("/pools", {**POOL, "id": "a b"}, "InvalidPropertyValue", "id"),
        ("/pools", {**POOL, "taskSlotsPerNode": 300}, "InvalidPropertyValue", "between"),
        ("/pools", {**POOL, "taskSlotsPerNode": "two"}, "InvalidRequestBody", "Edm.Int32"),
        ("/pools", {**POOL, "id": "q", "resizeTimeout": "PT1S"}, "InvalidPropertyValue", "PT5M"),
        (
            "/pools",
            {**POOL, "id": "q", "enableAutoScale": True},
            "MissingRequiredProperty",
            "autoScaleFormula",
        ),
        (
            "/pools",
            {**POOL, "id": "q", "enableAutoScale": True, "autoScaleFormula": "x = ("},
            "AutoScalingFormulaSyntaxError",
            "Line 1",
        ),
        (
            "/pools",
            {**POOL, "id": "q", "applicationPackageReferences": [{"applicationId": "Maya"}]},
            "InvalidApplicationPackageReferences",
            "maya",
        ),
        ("/jobs", {"id": "k"}, "MissingRequiredProperty", "poolInfo"),
        ("/jobs", {"id": "k", "poolInfo": {}}, "InvalidPropertyValue", "poolInfo"),
        ("/jobs", [], "InvalidRequestBody", "object"),
        ("/jobs/j/tasks", {"id": "t"}, "MissingRequiredProperty", "commandLine"),
        (
            "/jobs/j/tasks",
            {**TASK, "resourceFiles": [{"httpUrl": "fake.url", "filePath": "f"}]},
            "InvalidPropertyValue",
            "HttpUrl is not a valid URI",
        ),
        (
            "/jobs/j/tasks",
            {**TASK, "multiInstanceSettings": {"numberOfInstances": 2}},
            "MissingRequiredProperty",
            "coordinationCommandLine",
        ),
        (
            "/jobschedules",
            {"id": "s", "jobSpecification": JOB_SPEC, "schedule": {"recurrenceInterval": "PT1S"}},
            "InvalidPropertyValue",
            "recurrenceInterval",
        ),
        ("/jobs/j/disable", {"disableTasks": "maybe"}, "InvalidPropertyValue", "disableTasks"),
    ],
)  # fmt: skip
async def test_a_bad_body_is_refused_with_the_name_of_what_is_bad(
    wire: Wire, path: str, body: Any, expected: str, named: str
) -> None:
    reply = await wire.send("POST", path, body)
    assert code(reply) == (CATALOGUE[expected].status, expected)
    assert named in reply.text


@pytest.mark.parametrize(
    "size", ["Standard_HB120-16rs_v3", "Standard_E8-4ds_v5", "Standard_D2s_v5", "small"]
)
async def test_a_pool_has_any_size_that_has_a_name_of_one(wire: Wire, size: str) -> None:
    assert (
        await wire.send("POST", "/pools", {**POOL, "id": "q", "vmSize": size})
    ).status_code == 201
    assert (await wire.send("GET", "/pools/q")).json()["vmSize"] == size.lower()


@pytest.mark.parametrize("size", ["Standard D2s_v5", "Standard_D2s/v5", "größe"])
async def test_what_is_no_name_of_a_size_is_refused_as_one(wire: Wire, size: str) -> None:
    answer = await wire.send("POST", "/pools", {**POOL, "id": "q", "vmSize": size})
    assert answer.status_code == 400
    assert {"key": "PropertyName", "value": "vmSize"} in answer.json()["values"]


async def test_errors_are_laid_out_to_the_byte(wire: Wire) -> None:
    reply = await wire.send("GET", "/pools/none")
    request_id = reply.headers["request-id"]
    assert reply.text == (
        '{\r\n  "odata.metadata":"http://localhost/$metadata#Microsoft.Azure.Batch.Protocol.'
        'Entities.Container.errors/@Element","code":"PoolNotFound","message":{\r\n    '
        '"lang":"en-US","value":"The specified pool does not exist.\\nRequestId:'
        f'{request_id}\\nTime:2026-01-05T12:00:00.0000000Z"\r\n  }}\r\n}}'
    )
    assert reply.headers["content-type"] == "application/json;odata=minimalmetadata"


async def test_head_of_nothing_has_neither_body_nor_type(wire: Wire) -> None:
    reply = await wire.send("HEAD", "/pools/none")
    assert (reply.status_code, reply.content) == (404, b"")
    assert "content-type" not in reply.headers


async def test_an_etag_changes_when_a_client_changes_the_object_and_not_when_it_runs(
    wire: Wire,
) -> None:
    await run_one(wire)
    seen = await wire.send("GET", "/jobs/j/tasks/t")
    added = await wire.send("POST", "/jobs/j/tasks", {"id": "u", "commandLine": "run"})
    assert seen.json()["state"] == "completed"
    assert seen.json()["eTag"] == seen.headers["etag"]
    assert seen.json()["lastModified"] == seen.json()["creationTime"]
    before = added.headers["etag"]
    changed = await wire.send("PUT", "/jobs/j/tasks/u", {"constraints": {"maxTaskRetryCount": 2}})
    assert changed.headers["etag"] > before


async def test_conditional_requests(wire: Wire) -> None:
    tag = (await wire.send("GET", "/jobs/j")).headers["etag"]
    assert (await wire.send("GET", "/jobs/j", headers={"if-none-match": tag})).status_code == 304
    body = {"priority": 3}
    stale = await wire.send("PATCH", "/jobs/j", body, headers={"if-match": "0x8D0"})
    assert code(stale) == (412, "ConditionNotMet")
    good = await wire.send("PATCH", "/jobs/j", body, headers={"if-match": f'"{tag}"'})
    assert good.status_code == 200
    assert code(await wire.send("PATCH", "/jobs/j", body, headers={"if-match": tag}))[0] == 412
    long_ago = {"if-unmodified-since": "Mon, 05 Jan 2026 11:00:00 GMT"}
    assert code(await wire.send("DELETE", "/jobs/j", headers=long_ago))[0] == 412


async def test_pages_are_followed_by_their_links_in_order_of_ids(wire: Wire) -> None:
    await add_tasks(wire, *(f"T{number:02}" for number in range(25)))
    path, seen, pages = "/jobs/j/tasks?$select=id&maxresults=10", [], 0
    while path:
        reply = (await wire.send("GET", path)).json()
        seen += [task["id"] for task in reply["value"]]
        link = reply.get("odata.nextLink", "").removeprefix(BASE)
        path = link.replace("&api-version=2025-06-01", "")
        pages += 1
    assert (seen, pages) == ([f"T{number:02}" for number in range(25)], 3)


async def test_a_collection_takes_what_is_good_and_names_what_is_not(wire: Wire) -> None:
    await add_tasks(wire, "a")
    items = [
        {"id": "A", "commandLine": "run"},
        {"id": "b", "commandLine": "run", "bogus": 1},
        {"id": "c", "commandLine": "run"},
        "d",
    ]
    reply = (await wire.send("POST", "/jobs/j/addtaskcollection", {"value": items})).json()
    found = [(item["status"], item["taskId"]) for item in reply["value"]]
    assert found == [
        ("ClientError", "A"),
        ("ClientError", "b"),
        ("Success", "c"),
        ("ClientError", ""),
    ]
    assert reply["value"][0]["error"]["code"] == "TaskExists"
    assert "'bogus'" in str(reply["value"][1]["error"]["values"])


async def test_a_collection_has_its_limits(wire: Wire) -> None:
    items = [{"id": str(number), "commandLine": "run"} for number in range(101)]
    many = await wire.send("POST", "/jobs/j/addtaskcollection", {"value": items})
    assert code(many) == (400, "InvalidPropertyValue")
    large = [{"id": "t", "commandLine": "x" * 1_100_000}]
    big = await wire.send("POST", "/jobs/j/addtaskcollection", {"value": large})
    assert code(big) == (413, "RequestBodyTooLarge")
    assert big.json()["values"] == [{"key": "MaxLimit", "value": "1048576"}]


async def test_files_of_a_task_are_served_whole_and_in_part(wire: Wire) -> None:
    await run_one(wire)
    whole = await wire.send("GET", "/jobs/j/tasks/t/files/wd%2Fout.txt")
    assert whole.content == b"0123456789"
    assert whole.headers["ocp-batch-file-url"].endswith("files%2Fwd%2Fout.txt")
    part = await wire.send(
        "GET", "/jobs/j/tasks/t/files/wd/out.txt", headers={"ocp-range": "bytes=3-4"}
    )
    assert (part.status_code, part.content) == (200, b"34")
    rest = {"ocp-range": "bytes=8-"}
    assert (
        await wire.send("GET", "/jobs/j/tasks/t/files/wd%2Fout.txt", headers=rest)
    ).text == "89"
    beyond = {"ocp-range": "bytes=10-"}
    late = await wire.send("GET", "/jobs/j/tasks/t/files/wd%2Fout.txt", headers=beyond)
    assert code(late) == (416, "InvalidRange")
    for wrong in ("bytes=-4", "lines=0-1", f"bytes={'9' * 5000}-", f"bytes=0-{'9' * 5000}"):
        reply = await wire.send(
            "GET", "/jobs/j/tasks/t/files/stdout.txt", headers={"ocp-range": wrong}
        )
        assert code(reply) == (400, "InvalidHeaderValue")
    head = await wire.send("HEAD", "/jobs/j/tasks/t/files/stdout.txt")
    assert head.headers["content-length"] == "5"
    assert (await wire.send("DELETE", "/jobs/j/tasks/t/files/wd%2Fout.txt")).status_code == 200
    gone = await wire.send("GET", "/jobs/j/tasks/t/files/wd%2Fout.txt")
    assert code(gone) == (404, "FileNotFound")


async def test_no_path_leads_out_of_a_directory(wire: Wire, tmp_path: Path) -> None:
    await run_one(wire)
    (tmp_path / "secret").write_text("secret")
    wire_task = wire.server.host(ACCOUNT).world.jobs["j"].tasks["t"]
    directory = wire.server.host(ACCOUNT).task_directory(wire_task)
    (directory / "link").symlink_to(tmp_path / "secret")
    for path in (
        "..%2F..%2F..%2F..%2Fsecret",
        "link",
        f"%2F{tmp_path}%2Fsecret",
        "%00",
        "wd%2F..",
    ):
        reply = await wire.send("GET", f"/jobs/j/tasks/t/files/{path}")
        assert "secret" not in reply.text, path


def directory_of(wire: Wire, task_id: str = "t") -> Path:
    host = wire.server.host(ACCOUNT)
    return host.task_directory(host.world.jobs["j"].tasks[task_id])


async def test_a_pipe_that_a_task_made_stops_nobody_and_is_no_file(wire: Wire) -> None:
    await run_one(wire)
    pipe, path = directory_of(wire) / "wd" / "pipe", "/jobs/j/tasks/t/files"
    os.mkfifo(pipe)

    def relieve() -> None:
        with suppress(OSError):
            os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))

    # Who waited for the pipe would wait for ever, and the test with it.
    watchdog = threading.Timer(10, relieve)
    watchdog.start()
    assert code(await wire.send("GET", f"{path}/wd%2Fpipe")) == (404, "FileNotFound")
    assert (await wire.send("HEAD", f"{path}/wd%2Fpipe")).status_code == 404
    watchdog.cancel()
    listed = (await wire.send("GET", f"{path}?recursive=true")).json()["value"]
    assert "wd/out.txt" in {file["name"] for file in listed}
    assert "wd/pipe" not in {file["name"] for file in listed}


async def test_the_directory_that_files_are_named_from_is_none_of_them(wire: Wire) -> None:
    await run_one(wire)
    (node,) = (await wire.send("GET", "/pools/p/nodes")).json()["value"]
    for base in ("/jobs/j/tasks/t/files", f"/pools/p/nodes/{node['id']}/files"):
        for method in ("GET", "DELETE"):
            for name in ("%2E", "%2F", "x%2F..%2F.", "wd%2F..", "shared%2F.."):
                reply = await wire.send(method, f"{base}/{name}?recursive=true")
                assert code(reply) == (404, "FileNotFound"), (method, base, name)
    assert (directory_of(wire) / "wd" / "out.txt").exists()
    assert (
        await wire.send("DELETE", "/jobs/j/tasks/t/files/wd?recursive=true")
    ).status_code == 200
    assert not (directory_of(wire) / "wd").exists()


async def test_a_page_of_files_looks_at_no_more_files_than_it_shows(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    await run_one(wire)
    for number in range(300):
        (directory_of(wire) / "wd" / f"{number:03d}").touch()
    looked_at: list[str] = []
    monkeypatch.setattr(files, "_element", _noting(looked_at, files._element))
    listed: list[str] = []
    link = "/jobs/j/tasks/t/files?recursive=true&maxresults=100"
    while link:
        page = (await wire.send("GET", link)).json()
        listed += [file["name"] for file in page["value"]]
        # The one more is what tells that there is another page.
        assert len(looked_at) <= len(page["value"]) + 1
        looked_at.clear()
        link = page.get("odata.nextLink", "").removeprefix(BASE)
        link = link.replace(f"&api-version={VERSION}", "")
    inner = [*(f"wd/{number:03d}" for number in range(300)), "wd/out.txt"]
    assert listed == ["stderr.txt", "stdout.txt", "wd", *inner]


def _noting(calls: list[str], inner: Callable[..., Any]) -> Callable[..., Any]:
    def noted(root: Path, name: str, url: str) -> Any:
        calls.append(name)
        return inner(root, name, url)

    return noted


async def test_others_are_answered_while_files_are_listed(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    await run_one(wire)
    begun, may_end, inner = threading.Event(), threading.Event(), files._element

    def slow(root: Path, name: str, url: str) -> Any:
        begun.set()
        assert may_end.wait(120), "nobody else was answered"
        return inner(root, name, url)

    monkeypatch.setattr(files, "_element", slow)
    listing = asyncio.create_task(wire.send("GET", "/jobs/j/tasks/t/files"))
    await asyncio.to_thread(begun.wait, 30)
    assert (await wire.send("GET", "/jobs/j")).status_code == 200
    assert not listing.done()
    may_end.set()
    assert len((await listing).json()["value"]) == 3


async def test_a_name_that_is_not_utf_8_is_listed_and_its_url_leads_to_it(wire: Wire) -> None:
    await run_one(wire)
    (directory_of(wire) / "wd" / os.fsdecode(b"\xff.txt")).write_text("strange")
    listed = (await wire.send("GET", "/jobs/j/tasks/t/files?recursive=true")).json()["value"]
    urls = {file["name"]: file["url"] for file in listed}
    assert urls["wd/\ufffd.txt"] == f"{BASE}/jobs/j/tasks/t/files/wd/%FF.txt"
    reply = await wire.send("GET", urls["wd/\ufffd.txt"].removeprefix(BASE))
    assert (reply.status_code, reply.text) == (200, "strange")
    assert reply.headers["ocp-batch-file-url"].endswith("wd%2F%FF.txt")


async def test_an_id_may_be_a_word_of_the_paths(wire: Wire) -> None:
    for pool_id, job_id, task_id in [("files", "files", "t"), ("nodes", "tasks", "files")]:
        await wire.send("POST", "/pools", {**POOL, "id": pool_id})
        job = await wire.send("POST", "/jobs", {"id": job_id, "poolInfo": {"poolId": pool_id}})
        assert job.status_code == 201
        await wire.send("POST", f"/jobs/{job_id}/tasks", {**TASK, "id": task_id})
        shown = await wire.send("GET", f"/jobs/{job_id}/tasks/{task_id}")
        assert (shown.status_code, shown.json()["id"]) == (200, task_id)
        for path in ("", "/stdout.txt", "/wd/files/out.txt"):
            reply = await wire.send("GET", f"/jobs/{job_id}/tasks/{task_id}/files{path}")
            assert code(reply) == (409, "TaskFilesUnavailable")
        node = await wire.send("GET", f"/pools/{pool_id}/nodes/x")
        assert code(node) == (404, "NodeNotFound")
        assert (await wire.send("DELETE", f"/jobs/{job_id}/tasks/{task_id}")).status_code == 200


async def test_a_task_that_has_not_run_has_no_files(wire: Wire) -> None:
    await add_tasks(wire, "t")
    reply = await wire.send("GET", "/jobs/j/tasks/t/files")
    assert code(reply) == (409, "TaskFilesUnavailable")


async def test_the_first_and_the_last_instant_are_taken_and_told(wire: Wire) -> None:
    for number, moment in enumerate(("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.9999999Z")):
        schedule = {
            "id": f"s{number}",
            "jobSpecification": JOB_SPEC,
            "schedule": {"doNotRunAfter": moment, "recurrenceInterval": "P10000000D"},
        }
        assert (await wire.send("POST", "/jobschedules", schedule)).status_code == 201
        shown = (await wire.send("GET", f"/jobschedules/s{number}")).json()
        assert shown["schedule"]["doNotRunAfter"] == moment
        listed = await wire.send(
            "GET", f"/jobschedules?$filter=creationTime%20gt%20datetime'{moment}'"
        )
        assert len(listed.json()["value"]) == (number + 1 if moment < "1000" else 0)
    wire.clock.advance(10)
    await wire.send("POST", "/pools/p/resize", {"targetDedicatedNodes": 1})
    wire.clock.advance(3600)
    (node,) = (await wire.send("GET", "/pools/p/nodes")).json()["value"]
    user = {"name": "u", "expiryTime": "0001-01-01T00:00:00Z", "password": "p"}
    added = await wire.send("POST", f"/pools/p/nodes/{node['id']}/users", user)
    assert added.status_code < 500, added.text


async def test_a_client_request_id_comes_back_when_it_is_asked_for(wire: Wire) -> None:
    headers = {"client-request-id": "mine", "return-client-request-id": "true"}
    assert (await wire.send("GET", "/pools", headers=headers)).headers[
        "client-request-id"
    ] == "mine"
    silent = await wire.send("GET", "/pools", headers={"client-request-id": "mine"})
    assert "client-request-id" not in silent.headers


async def test_older_versions_are_served_and_newer_ones_with_a_warning(wire: Wire) -> None:
    for version in ("2022-10-01.16.0", "2024-02-01.19.0", "2025-06-01"):
        reply = await wire.send("GET", "/pools", version=version)
        assert (reply.status_code, reply.headers.get("warning")) == (200, None)
    newer = await wire.send("GET", "/pools", version="2031-01-01")
    assert (newer.status_code, "warning" in newer.headers) == (200, True)


async def test_an_unknown_path_or_verb_is_an_error_of_the_service(wire: Wire) -> None:
    assert code(await wire.send("GET", "/nothing")) == (400, "InvalidUri")
    assert code(await wire.send("GET", "/")) == (400, "InvalidUri")
    assert code(await wire.send("PUT", "/pools/p")) == (405, "UnsupportedHttpVerb")


async def test_without_a_good_signature_nothing_is_told(wire: Wire) -> None:
    unsigned = await wire.http.get("/pools?api-version=2025-06-01")
    assert code(unsigned) == (403, "AuthenticationFailed")
    wrong = await wire.send("GET", "/pools", key=b"wrong")
    assert code(wrong) == (403, "AuthenticationFailed")
    headers = {"authorization": "SharedKey nobody:AAAA"}
    unknown = await wire.http.get("/pools?api-version=2025-06-01", headers=headers)
    assert "claimed account" in unknown.text
    for claim in (f"SharedKey {ACCOUNT}:\xff", "Bearer \xff", "Bearer batchjob.\xff.\xff"):
        strange = {b"authorization": claim.encode("latin-1"), b"ocp-date": b"now"}
        sent = await wire.http.get("/pools?api-version=2025-06-01", headers=strange)
        assert code(sent) == (403, "AuthenticationFailed"), claim


async def test_no_body_may_be_signed_with_a_length_of_zero_or_with_none(wire: Wire) -> None:
    for number, length in enumerate(("0", "")):
        await wire.send("POST", "/jobs", {**JOB, "id": f"k{number}"})
        path, headers = f"/jobs/k{number}", {"ocp-date": "Mon, 05 Jan 2026 12:00:00 GMT"}
        text = string_to_sign(
            method="DELETE",
            account=ACCOUNT,
            raw_path=path,
            query=[("api-version", VERSION)],
            headers=headers,
            no_length=length,
        )
        signed = {**headers, "authorization": f"SharedKey {ACCOUNT}:{sign(KEY, text)}"}
        request = httpx.Request("DELETE", f"{BASE}{path}?api-version={VERSION}", headers=signed)
        assert (await wire.http.send(request)).status_code == 202


async def test_a_spot_node_can_be_preempted_on_request(wire: Wire) -> None:
    wire.clock.advance(10)
    await wire.send("POST", "/pools/p/resize", {"targetLowPriorityNodes": 1})
    wire.clock.advance(3600)
    (node,) = (await wire.send("GET", "/pools/p/nodes")).json()["value"]
    path = f"/_emulator/accounts/{ACCOUNT}/pools/p/nodes/{node['id']}"
    assert (await wire.http.post(f"{path}/preempt")).status_code == 204
    again = await wire.http.post(f"{path}/preempt")
    assert (again.status_code, "OperationInvalidForCurrentState" in again.text) == (409, True)
    assert (await wire.http.post(f"{path}/explode")).status_code == 404
    shown = (await wire.send("GET", f"/pools/p/nodes/{node['id']}")).json()
    assert shown["state"] == "preempted"


def test_every_code_that_the_engine_refuses_with_is_in_the_catalogue() -> None:
    emulator = Path(pools.__file__).parents[1]
    sources = [*emulator.glob("engine/*.py"), *emulator.glob("service/*.py")]
    used = {
        name
        for path in sources
        for name in re.findall(r'Refused\(\s*"(\w+)"', path.read_text(encoding="utf-8"))
    }
    assert len(used) > 20
    assert used <= set(CATALOGUE)
