"""The whole run without any key, as in Azure: https, tokens, the pool's identity for files.

The estate is the one that `Pulumi.dev.yaml` declares for Azure, unchanged, deployed by the
real engine to an emulator with TLS. Keys that the emulator keeps for others are put away.
"""

from __future__ import annotations

import filecmp
import json
import os
import re
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from emulator.identity import BATCH_AUDIENCE, STORAGE_AUDIENCE, Issuer, client_environment
from emulator.local import LocalDirectory

ROOT = Path(__file__).resolve().parents[2]
STACK = "dev"
LEEWAY_S = 5
"""How long after its end the emulator takes a token, as the service's clocks may differ."""
LARGE_BYTES = 65 << 20
Directory = Any  # the fixture of command_line.py, which importlib mode cannot name

pytestmark = [pytest.mark.slow, pytest.mark.engine]


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalDirectory]:
    """An emulator with TLS and the estate, and no key in reach of its clients."""
    directory = tmp_path_factory.mktemp("keyless")
    environment = {**os.environ, "HPC_LOCAL_DIR": str(directory)}
    with (directory / "serve.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "emulator", "serve", "--tls", "--in-memory",
             "--service-speed", "400"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )  # fmt: skip
    assert process.stdout is not None
    try:
        assert process.stdout.readline(), (directory / "serve.log").read_text()
        up = [sys.executable, "-m", "emulator", "stack", "up", "--stack", STACK]
        done = subprocess.run(
            up, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        (directory / "keys.json").rename(directory / "put-away")
        yield LocalDirectory(directory)
    finally:
        process.terminate()
        process.communicate(timeout=120)


@pytest.fixture
def keyless(local: LocalDirectory, make_directory: Callable[..., Directory]) -> Directory:
    """A directory whose commands have what `python -m emulator env` tells, and nothing else."""
    found = make_directory(local.root, STACK)
    found.environment |= client_environment(local)
    assert not [name for name in found.environment if name.endswith("_KEY")]
    return found


WORKLOAD = """\
    name: keyless
    pool: cpu
    program:
      build:
        command: [sh, -c, "cp add.sh build/add; chmod +x build/add"]
        sources: [add.sh]
        output: build/add
    inputs: [numbers.txt]
    command: ./add numbers.txt {x} sum-{index}.txt
    outputs: ["sum-*.txt"]
    tasks: {sweep: {x: [1, 2, 3]}}
    merge: [sh, -c, "cat outputs/*/sum-*.txt | sort -n > all.txt"]
    check: [sh, -c, 'test "$(cat all.txt | xargs)" = "7 8 9"']
    """
ADD = '#!/bin/sh\necho $(($(cat "$1") + $2)) > "$3"\n'


def test_a_workload_runs_to_its_checked_answer_without_a_key(keyless: Directory) -> None:
    keyless.write(WORKLOAD, add_DOT_sh=ADD, numbers_DOT_txt="6\n")
    outputs = json.loads(
        (Path(keyless.environment["HPC_LOCAL_DIR"]) / f"stacks/{STACK}/outputs.json").read_text()
    )
    assert outputs["authentication"] == "entra"
    doctor = keyless.json("doctor")
    assert doctor["ok"], doctor
    out, err = keyless.jobs("job.yaml", module="jobs.run")
    assert out.splitlines()[-1].rstrip() == "OK"
    assert "staged: 2 files, 2 sent" in err
    # The link is the user's to click: what a browser gets there, whose authorities know it.
    (link,) = re.findall(r"^portal: (\S+)$", err, re.MULTILINE)
    trust = ssl.create_default_context(cafile=keyless.environment["SSL_CERT_FILE"])
    handlers = urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust)
    with urllib.request.build_opener(*handlers).open(link) as page:
        assert page.headers.get_content_type() == "text/html"
    assert keyless.jobs("logs", "0", "--source", "stdout")[0] == ""
    assert keyless.json("collect")["fetched"] == 0
    keyless.jobs("clean", "--yes", "--local")


def test_a_schedule_has_its_tasks_added_by_the_nodes_identity(keyless: Directory) -> None:
    keyless.write(
        """\
        name: nightly
        pool: cpu
        schedule: 1d
        inputs: [numbers.txt]
        command: [sh, -c, "cat numbers.txt > out; env | grep -c AUTHENTICATION_TOKEN || true"]
        outputs: [out]
        tasks: 3
        check: [sh, -c, 'test "$(cat outputs/*/out | xargs)" = "6 6 6"']
        """,
        numbers_DOT_txt="6\n",
    )
    _, err = keyless.jobs("run", "job.yaml", code=2)
    assert "nodes_submit_jobs: true" in err, "the stack gives no such right"

    outputs = Path(keyless.environment["HPC_LOCAL_DIR"]) / f"stacks/{STACK}/outputs.json"
    values = json.loads(outputs.read_text()) | {"nodes_submit_jobs": True}
    (keyless.path / "outputs.json").write_text(json.dumps(values))
    del keyless.environment["JOBS_STACK"]
    assert keyless.json("run", "job.yaml", "--outputs", "outputs.json")["added"] is True
    out, _ = keyless.jobs("wait", "nightly")
    assert out.splitlines()[-1].rstrip() == "OK"
    keyless.jobs("schedule", "delete", "nightly", "--yes")


@contextmanager
def tokens_of(issuer: Issuer, life_s: int, asked: Callable[[], None]) -> Iterator[Counter[str]]:
    """An identity endpoint that gives tokens which end soon; counts them by their audience."""
    given: Counter[str] = Counter()
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            audience = parse_qs(urlsplit(self.path).query)["resource"][0].rstrip("/")
            token, ends = issuer.issue(audience, life_s=life_s)
            with lock:
                given[audience] += 1
                asked()
            body = {"access_token": token, "expires_on": str(ends), "token_type": "Bearer",
                    "resource": audience}  # fmt: skip
            data = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        host, port = server.server_address[:2]
        given.url = f"http://{host!s}:{port}"  # type: ignore[attr-defined] # told with them
        yield given
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_tokens_that_end_in_the_middle_of_a_run_are_renewed(
    keyless: Directory, local: LocalDirectory
) -> None:
    """Batch's client, obstore and storage's SDK (for large files) each get new ones.

    Staging takes tokens of the first moments; the task ends when those are worth nothing any
    more, and only then is collecting begun.
    """
    gate = keyless.path / "gate"
    life_s = 12
    began = time.time()

    def asked() -> None:
        if time.time() > began + life_s + LEEWAY_S + 1:
            gate.touch()

    script = 'while [ ! -e "$0" ]; do sleep 0.1; done; cp large large-back; echo > "two\nlines"'
    keyless.write(
        f"""\
        name: renewed
        pool: cpu
        inputs: [large]
        command: {json.dumps(["sh", "-c", script, str(gate)])}
        outputs: [large-back, "two*"]
        """
    )
    with (keyless.path / "large").open("wb") as stream:
        stream.write(os.urandom(1 << 20))
        stream.truncate(LARGE_BYTES)
    with tokens_of(Issuer.load(local.identity_file), life_s, asked) as given:
        keyless.environment["IDENTITY_ENDPOINT"] = given.url  # type: ignore[attr-defined] # see there
        # 1: a name with a line feed stays in storage, everything else is collected.
        _, err = keyless.jobs("run", "job.yaml", code=1)
    (back,) = keyless.path.glob("results/*/outputs/*/large-back")
    assert filecmp.cmp(keyless.path / "large", back, shallow=False)
    assert "its name has a control character" in err, "that listing goes by storage's SDK"
    assert given.keys() == {BATCH_AUDIENCE, STORAGE_AUDIENCE}
    assert min(given.values()) > 1
