"""Reports a node's processor, memory, disk, network and GPU to a Log Analytics table.

Runs on every node of a pool, started by its start task (`telemetry.start`), until the
node goes. It reads what the kernel and `nvidia-smi` tell, and sends rows through the
Logs Ingestion API with a token of the node's managed identity.
https://learn.microsoft.com/azure/azure-monitor/logs/logs-ingestion-api-overview

What it deliberately does not do: fail the node, or cost it anything that a task would
miss. What cannot be read is left out, what cannot be sent waits in a bounded buffer whose
oldest rows go first, and an endpoint that is away is asked less and less often.

It travels to nodes as this one text, so it imports nothing of this project and runs on
the Python that images bring: 3.9 and later.
"""

from __future__ import annotations

import argparse
import gzip
import http.client
import json
import logging
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

logger = logging.getLogger("hpc-telemetry")

API_VERSION = "2023-01-01"
RESOURCE = "https://monitor.azure.com/"
METADATA_ENDPOINT = "http://169.254.169.254"
MOST_ROWS_KEPT = 1440
# A call takes 1 MB, compressed and not: limits of the Logs Ingestion API.
MOST_ROWS_PER_CALL = 500
_FIRST_WAIT_S = 30.0
_LONGEST_WAIT_S = 900.0
_TIMEOUT_S = 30.0
_TOKEN_MARGIN_S = 300.0
_SECTOR_BYTES = 512
_INFINIBAND_WORD_BYTES = 4


class NodeMetrics(NamedTuple):
    """One row: what a node did since the row before. Its fields are the table's columns."""

    time_generated: datetime
    account: str
    pool: str
    node: str
    cpus: int | None = None
    cpu_percent: float | None = None
    memory_total_mib: int | None = None
    memory_used_mib: int | None = None
    disk_used_percent: float | None = None
    disk_read_bytes_per_s: float | None = None
    disk_write_bytes_per_s: float | None = None
    network_received_bytes_per_s: float | None = None
    network_sent_bytes_per_s: float | None = None
    infiniband_received_bytes_per_s: float | None = None
    infiniband_sent_bytes_per_s: float | None = None
    gpus: int | None = None
    gpu_percent: float | None = None
    gpu_memory_total_mib: int | None = None
    gpu_memory_used_mib: int | None = None


def column_name(field: str) -> str:
    """The table's name of a field: `cpu_percent` is `CpuPercent`."""
    return "".join(part.capitalize() for part in field.split("_"))


def record(row: NodeMetrics) -> dict[str, Any]:
    """A row as the stream takes it, without what could not be read."""
    return {
        column_name(field): value.isoformat() if isinstance(value, datetime) else value
        for field, value in row._asdict().items()
        if value is not None
    }


class Counters(NamedTuple):
    """What only grows: counters of the kernel since the node's boot."""

    at_s: float
    cpu_busy: int | None = None
    cpu_total: int | None = None
    disk_read_bytes: int | None = None
    disk_write_bytes: int | None = None
    network_received_bytes: int | None = None
    network_sent_bytes: int | None = None
    infiniband_received_bytes: int | None = None
    infiniband_sent_bytes: int | None = None


class Node:
    """Reads this machine.

    Args:
        root: Where `proc` and `sys` are; another place in tests alone.
        disk: A directory on the disk whose space is told.
        nvidia_smi: The program that tells of GPUs, absent on most nodes.
    """

    def __init__(
        self, *, root: Path = Path("/"), disk: Path = Path("/"), nvidia_smi: str = "nvidia-smi"
    ) -> None:
        self._proc, self._sys = root / "proc", root / "sys"
        self._disk = disk
        self._nvidia_smi = nvidia_smi
        self._before = self._counters()

    def sample(self, *, account: str, pool: str, node: str) -> NodeMetrics:
        """One row; rates are of the time since the sample before."""
        before, now = self._before, self._counters()
        self._before = now
        seconds = now.at_s - before.at_s
        total = _grown(before.cpu_total, now.cpu_total)
        busy = _grown(before.cpu_busy, now.cpu_busy)
        memory = self._memory()
        rates: dict[str, Any] = {
            f"{name}_per_s": _rate(getattr(before, name), getattr(now, name), seconds)
            for name in Counters._fields
            if name.endswith("_bytes")
        }
        return NodeMetrics(
            time_generated=datetime.now(timezone.utc),
            account=account,
            pool=pool,
            node=node,
            cpus=os.cpu_count(),
            cpu_percent=round(min(100.0, 100.0 * busy / total), 2)
            if total and busy is not None
            else None,
            memory_total_mib=memory[0],
            memory_used_mib=memory[1],
            disk_used_percent=self._disk_used_percent(),
            **rates,
            **self._gpus(),
        )

    def _counters(self) -> Counters:
        busy, total = self._cpu()
        return Counters(
            time.monotonic(),
            busy,
            total,
            *self._disk_bytes(),
            *self._network_bytes(),
            *self._infiniband_bytes(),
        )

    def _cpu(self) -> tuple[int | None, int | None]:
        """Busy and all ticks of all processors; guests' time is in their hosts' already."""
        for line in _lines(self._proc / "stat"):
            name, *ticks = line.split()
            if name == "cpu" and len(ticks) >= len(_TICKS):
                counts = dict(zip(_TICKS, map(int, ticks)))
                total = sum(counts.values())
                return total - counts["idle"] - counts["iowait"], total
        return None, None

    def _memory(self) -> tuple[int | None, int | None]:
        sizes_kib = {}
        for line in _lines(self._proc / "meminfo"):
            name, _, rest = line.partition(":")
            if name in {"MemTotal", "MemAvailable"}:
                sizes_kib[name] = int(rest.split()[0])
        total, available = sizes_kib.get("MemTotal"), sizes_kib.get("MemAvailable")
        if total is None or available is None:
            return None, None
        return total // 1024, (total - available) // 1024

    def _disk_used_percent(self) -> float | None:
        found = _space(self._disk)
        if found is None:
            return None
        usable = found.f_blocks - found.f_bfree + found.f_bavail
        return round(100.0 * (1 - found.f_bavail / usable), 2) if usable else None

    def _disk_bytes(self) -> tuple[int | None, int | None]:
        """Of whole disks: what a partition or a mapped device does is in its disk's counts."""
        try:
            disks = {one.name for one in (self._sys / "block").iterdir() if _is_disk(one)}
        except OSError:
            return None, None
        read = written = 0
        for line in _lines(self._proc / "diskstats"):
            parts = line.split()
            if len(parts) > _SECTORS_WRITTEN and parts[2] in disks:
                read += int(parts[_SECTORS_READ])
                written += int(parts[_SECTORS_WRITTEN])
        return read * _SECTOR_BYTES, written * _SECTOR_BYTES

    def _network_bytes(self) -> tuple[int | None, int | None]:
        """Of devices that are hardware: Docker's bridges would count the same bytes again."""
        received = sent = 0
        found = False
        for line in _lines(self._proc / "net" / "dev"):
            name, colon, rest = line.partition(":")
            counts = rest.split()
            device = self._sys / "class" / "net" / name.strip() / "device"
            if colon and len(counts) > _BYTES_SENT and device.exists():
                found = True
                received += int(counts[0])
                sent += int(counts[_BYTES_SENT])
        return (received, sent) if found else (None, None)

    def _infiniband_bytes(self) -> tuple[int | None, int | None]:
        ports = list((self._sys / "class" / "infiniband").glob("*/ports/*/counters"))
        if not ports:
            return None, None
        words = [
            sum(int(text) for port in ports for text in _lines(port / f"port_{way}_data")[:1])
            for way in ("rcv", "xmit")
        ]
        return words[0] * _INFINIBAND_WORD_BYTES, words[1] * _INFINIBAND_WORD_BYTES

    def _gpus(self) -> dict[str, Any]:
        """The GPUs together: the mean of their work, the sum of their memory."""
        query = "--query-gpu=utilization.gpu,memory.total,memory.used"
        try:
            done = subprocess.run(
                [self._nvidia_smi, query, "--format=csv,noheader,nounits"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_TIMEOUT_S,
                check=True,
            )
        except (OSError, subprocess.SubprocessError):
            return {}
        rows = [[_number(cell) for cell in line.split(",")] for line in done.stdout.splitlines()]
        rows = [row for row in rows if len(row) == len(("percent", "total", "used"))]
        if not rows:
            return {}
        percents, totals, useds = (
            [cell for cell in column if cell is not None] for column in zip(*rows)
        )
        return {
            "gpus": len(rows),
            "gpu_percent": round(sum(percents) / len(percents), 2) if percents else None,
            "gpu_memory_total_mib": int(sum(totals)) if totals else None,
            "gpu_memory_used_mib": int(sum(useds)) if useds else None,
        }


# Places in /proc/stat, /proc/diskstats and /proc/net/dev (proc(5), iostats.rst).
_TICKS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
_SECTORS_READ, _SECTORS_WRITTEN = 5, 9
_BYTES_SENT = 8


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []


def _space(directory: Path) -> os.statvfs_result | None:
    """Of the disk with a directory, or with the nearest above it that one may look at."""
    try:
        return os.statvfs(directory)
    except PermissionError:
        above = directory.parent
        return None if above == directory else _space(above)
    except OSError:
        return None


def _is_disk(block: Path) -> bool:
    return (block / "device").exists()


def _number(text: str) -> float | None:
    """A cell of `nvidia-smi`, which writes `[N/A]` for what a GPU does not tell."""
    try:
        return float(text)
    except ValueError:
        return None


def _grown(before: int | None, now: int | None) -> int | None:
    """How much a counter grew; None where there is none, or it was started anew."""
    return now - before if now is not None and before is not None and now >= before else None


def _rate(before: int | None, now: int | None, seconds: float) -> float | None:
    grown = _grown(before, now)
    return round(grown / seconds, 1) if grown is not None and seconds > 0 else None


class SendError(Exception):
    """Rows were not taken; `retry` says whether they may be later, `wait_s` how soon."""

    def __init__(self, text: str, *, retry: bool, wait_s: float | None = None) -> None:
        super().__init__(text)
        self.retry = retry
        self.wait_s = wait_s


class TooLargeError(SendError):
    """The call was larger than the service takes: fewer rows may pass."""


class Ingestion:
    """Azure's side: tokens of the managed identity, and the stream of the rule.

    Args:
        endpoint: The data collection endpoint's URL for logs.
        rule_id: The rule's immutable id.
        stream: The stream's name in the rule.
        client_id: Of the identity, because a node may have several.
        metadata_endpoint: The instance metadata service.
    """

    def __init__(
        self,
        *,
        endpoint: str,
        rule_id: str,
        stream: str,
        client_id: str,
        metadata_endpoint: str = METADATA_ENDPOINT,
    ) -> None:
        path = f"/dataCollectionRules/{rule_id}/streams/{stream}?api-version={API_VERSION}"
        self._url = endpoint.rstrip("/") + path
        asked = {"api-version": "2018-02-01", "resource": RESOURCE, "client_id": client_id}
        query = urllib.parse.urlencode(asked)
        self._token_url = f"{metadata_endpoint}/metadata/identity/oauth2/token?{query}"
        self._token = ""
        self._token_until_s = 0.0
        # The metadata service must be asked directly, and the endpoint is no proxy's business.
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open

    def send(self, rows: Iterable[NodeMetrics]) -> None:
        """Sends rows in one call.

        Raises:
            SendError: They were not taken.
        """
        body = json.dumps([record(row) for row in rows], separators=(",", ":")).encode()
        headers = {
            "Authorization": f"Bearer {self._fresh_token()}",
            "Content-Type": "application/json",
            "Content-Encoding": "gzip",
        }
        request = urllib.request.Request(  # noqa: S310 - https, or a test's loopback
            self._url, data=gzip.compress(body), headers=headers, method="POST"
        )
        try:
            self._answer(request)
        except SendError:
            # It may have been revoked before its time.
            self._token_until_s = 0.0
            raise

    def _fresh_token(self) -> str:
        if time.monotonic() >= self._token_until_s:
            request = urllib.request.Request(  # noqa: S310 - link-local, or a test's loopback
                self._token_url, headers={"Metadata": "true"}
            )
            try:
                answer = json.loads(self._answer(request))
                self._token = str(answer["access_token"])
                lifetime_s = float(answer["expires_in"])
            except (KeyError, TypeError, ValueError) as error:
                raise SendError(f"no token: {error!r}", retry=True) from error
            self._token_until_s = time.monotonic() + max(0.0, lifetime_s - _TOKEN_MARGIN_S)
        return self._token

    def _answer(self, request: urllib.request.Request) -> bytes:
        try:
            with self._open(request, timeout=_TIMEOUT_S) as response:
                return bytes(response.read())
        except urllib.error.HTTPError as error:
            with error:
                raise _refusal(error) from error
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise SendError(f"{request.host}: {error!r}", retry=True) from error


def _refusal(error: urllib.error.HTTPError) -> SendError:
    text = f"{error.url.partition('?')[0]} answers {error.code}"
    if error.code == 413:  # noqa: PLR2004 - content too large
        return TooLargeError(text, retry=False)
    # Roles and rules take up to half an hour to spread (403, 404), and new nodes come
    # before that; other refusals of what was sent will be the same tomorrow.
    retry = error.code in {401, 403, 404, 408, 410, 429} or error.code >= 500  # noqa: PLR2004
    return SendError(text, retry=retry, wait_s=_number(error.headers.get("Retry-After") or ""))


class Outbox:
    """Rows that wait to be sent: so many, no more.

    Args:
        send: Sends rows in one call, or raises `SendError`.
        jitter: A number from 0 to 1, so that nodes do not ask all at once.
    """

    def __init__(
        self,
        send: Callable[[list[NodeMetrics]], None],
        *,
        most_rows: int = MOST_ROWS_KEPT,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._send = send
        self._jitter = jitter
        self._rows: deque[NodeMetrics] = deque(maxlen=most_rows)
        self._most_per_call = MOST_ROWS_PER_CALL
        self._failures = 0
        self._not_before_s = 0.0

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, row: NodeMetrics) -> None:
        """Keeps a row; of a full buffer the oldest goes."""
        self._rows.append(row)

    def flush(self, now_s: float, *, at_once: bool = False) -> None:
        """Sends what waits, unless the service was away a moment ago."""
        if now_s < self._not_before_s and not at_once:
            return
        while self._rows:
            count = min(len(self._rows), self._most_per_call)
            try:
                self._send([self._rows[index] for index in range(count)])
            except TooLargeError as error:
                if count > 1:
                    self._most_per_call = count // 2
                    continue
                logger.warning("%s: a row is dropped", error)
            except SendError as error:
                if error.retry:
                    self._wait(now_s, error)
                    return
                logger.warning("%s: %d rows are dropped", error, count)
            else:
                self._failures = 0
            for _ in range(count):
                self._rows.popleft()

    def _wait(self, now_s: float, error: SendError) -> None:
        longest = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2**self._failures)
        wait_s = longest * (0.5 + self._jitter() / 2)
        wait_s = min(_LONGEST_WAIT_S, max(wait_s, error.wait_s or 0.0))
        self._failures = min(self._failures + 1, 10)
        self._not_before_s = now_s + wait_s
        logger.warning("%s: %d rows wait, next in %.0f s", error, len(self._rows), wait_s)


def settings(environment: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """What the environment says: who reports, and to whom.

    Raises:
        KeyError: A variable is missing.
    """
    who = {
        name: environment[f"AZ_BATCH_{variable}"]
        for name, variable in (
            ("account", "ACCOUNT_NAME"),
            ("pool", "POOL_ID"),
            ("node", "NODE_ID"),
        )
    }
    whom = {
        name: environment[f"HPC_TELEMETRY_{name.upper()}"]
        for name in ("endpoint", "rule_id", "stream", "client_id")
    }
    return who, whom


def claim(who: Mapping[str, str]) -> socket.socket | None:
    """A lock that ends with the process, or None while another collector has it."""
    lock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    name = "/".join(["hpc-telemetry", *who.values()])
    try:
        lock.bind(b"\0" + name.encode()[:100])
    except OSError:
        lock.close()
        return None
    return lock


def main(arguments: list[str] | None = None) -> int:
    """Samples and sends until SIGTERM; 2 when the environment does not say to whom."""
    parser = argparse.ArgumentParser(prog="hpc-telemetry", description=(__doc__ or "")[:78])
    parser.add_argument("--once", action="store_true", help="print one row as JSON, send nothing")
    parser.add_argument("--interval-s", type=float, help="seconds between two rows")
    asked = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s", stream=sys.stderr)
    node = Node(disk=Path(os.environ.get("AZ_BATCH_NODE_ROOT_DIR", "/")))
    interval_s = asked.interval_s or float(os.environ.get("HPC_TELEMETRY_INTERVAL_S", "60"))
    if asked.once:
        time.sleep(min(1.0, interval_s))
        row = node.sample(account="", pool="", node=socket.gethostname())
        sys.stdout.write(json.dumps(record(row), indent=2) + "\n")
        return 0
    try:
        who, whom = settings(os.environ)
    except KeyError as error:
        logger.warning("%s is not set, so there is nobody to report to", error.args[0])
        return 2
    lock = claim(who)
    if lock is None:
        logger.info("another collector reports this node")
        return 0
    metadata = os.environ.get("HPC_TELEMETRY_METADATA_ENDPOINT", METADATA_ENDPOINT)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    os.nice(10)
    with lock:
        outbox = Outbox(Ingestion(**whom, metadata_endpoint=metadata).send)
        while not ended.wait(interval_s):
            outbox.add(node.sample(**who))
            outbox.flush(time.monotonic())
        outbox.flush(time.monotonic(), at_once=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
