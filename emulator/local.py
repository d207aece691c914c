"""Where the local state lives, and the two files in it that others read.

Everything that running on a laptop leaves behind is under one directory, `.local/`
in the project root unless `HPC_LOCAL_DIR` says otherwise:

    .local/run.json                   a running emulator: its process and endpoints
    .local/keys.json                  account keys, mode 0600; never in Pulumi state
    .local/tls/                       the certificate of `serve --tls`
    .local/identity.json              its issuer of tokens, mode 0600
    .local/emulator/                  the emulator's data (`serve --data`), Azurite's blobs
    .local/pulumi/home, .local/pulumi/state   the engine's own home and file backend
    .local/stacks/NAME/outputs.json   what `emulator stack up` provisioned (read by `jobs`)
    .local/demo/                      all of the above again, for `make demo` alone
    .local/jobs/, .local/log/         what `jobs` remembers of files; what set-up printed

`jobs` reads `keys.json` and `outputs.json` by these very names; `tests/contract`
holds both sides to it.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from emulator.errors import LocalStateError, NotRunningError

PROJECT_ROOT = Path(__file__).resolve().parent.parent
ENV_LOCAL_DIR = "HPC_LOCAL_DIR"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningEmulator:
    """What a ready emulator says of itself, on stdout and in `run.json`.

    Attributes:
        pid: Process id of `emulator serve`.
        batch_endpoint: URL of the Batch data plane, without a trailing slash.
        blob_endpoint: URL of Azurite without an account, or None with `--no-blob`.
        provider_address: `host:port` of the Pulumi provider's gRPC server, or None
            when the emulator was started without it.
        account: Name of the Batch account that exists from the start.
        certificate: Path of the certificate to trust; None without `--tls`.
        identity_endpoint: URL where a managed identity gets tokens; None without `--tls`.
    """

    pid: int
    batch_endpoint: str
    blob_endpoint: str | None
    provider_address: str | None
    account: str
    certificate: str | None = None
    identity_endpoint: str | None = None


@dataclass(frozen=True, slots=True)
class LocalDirectory:
    """The directory of the local state and the paths in it."""

    root: Path

    @classmethod
    def default(cls) -> LocalDirectory:
        """The directory named by `HPC_LOCAL_DIR`, else `.local/` in the project root."""
        return cls(Path(os.environ.get(ENV_LOCAL_DIR) or PROJECT_ROOT / ".local").absolute())

    @property
    def run_file(self) -> Path:
        """A running emulator's endpoints."""
        return self.root / "run.json"

    @property
    def keys_file(self) -> Path:
        """Account keys of the running emulator and Azurite."""
        return self.root / "keys.json"

    @property
    def tls(self) -> Path:
        """Directory of the certificate of `serve --tls`."""
        return self.root / "tls"

    @property
    def identity_file(self) -> Path:
        """The issuer of tokens of `serve --tls`, with its secrets."""
        return self.root / "identity.json"

    @property
    def data(self) -> Path:
        """The emulator's data directory unless `--data` names another."""
        return self.root / "emulator"

    @property
    def pulumi_home(self) -> Path:
        """The engine's own home, apart from the user's."""
        return self.root / "pulumi" / "home"

    @property
    def pulumi_state(self) -> Path:
        """The engine's file backend."""
        return self.root / "pulumi" / "state"

    def stack_outputs(self, stack: str) -> Path:
        """What `emulator stack up` provisioned, for `jobs`."""
        return self.root / "stacks" / stack / "outputs.json"

    def ensure(self) -> None:
        """Makes the directory, so that whoever writes below it need not ask.

        Raises:
            LocalStateError: It cannot be made, or not be written to.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.root):
                pass
        except OSError as error:
            raise LocalStateError(
                f"{self.root} cannot hold the local state: {error.strerror}.\n"
                f"Make it a directory that you may write to, or name another: {ENV_LOCAL_DIR}=DIR"
            ) from error

    def write_running(self, running: RunningEmulator) -> None:
        """Says that an emulator is ready."""
        write_json(self.run_file, asdict(running))

    def read_running(self) -> RunningEmulator:
        """The emulator that said it is ready; whether it still answers is not asked.

        Raises:
            NotRunningError: There is no such file.
            LocalStateError: The file is damaged.
        """
        if not self.run_file.exists():
            raise NotRunningError(
                f"no emulator is running: {self.run_file} does not exist.\n"
                "Start one in another terminal: python -m emulator serve"
            )
        try:
            return RunningEmulator(**read_json(self.run_file))
        except TypeError as error:
            why = "it does not have the members that this version writes"
            raise damaged(self.run_file, why) from error

    def write_keys(self, *, batch: dict[str, str], storage: dict[str, str]) -> None:
        """Replaces the account keys (base64, by account name)."""
        write_json(self.keys_file, {"batch": batch, "storage": storage}, mode=0o600)


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file of the local state.

    Raises:
        LocalStateError: The file cannot be read or holds no JSON object.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise damaged(path, str(error)) from error
    if not isinstance(value, dict):
        raise damaged(path, f"it holds a {type(value).__name__}, not an object")
    return value


def write_json(path: Path, value: dict[str, Any], *, mode: int = 0o644) -> None:
    """Replaces a file of the local state by a JSON object; see `replace_file`."""
    replace_file(path, f"{json.dumps(value, indent=2)}\n".encode(), mode=mode)


def replace_file(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Replaces a file in one step, so that no reader sees half of it; made with its parents.

    A secret is never readable by others, not even at first.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        temporary.chmod(mode)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def damaged(path: Path, why: str) -> LocalStateError:
    """The error for a file of the local state that is not what it should be."""
    return LocalStateError(
        f"{path} is damaged: {why}.\n"
        "The emulator writes it anew when it starts: stop it, delete the file, start it again."
    )
