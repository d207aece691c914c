"""The Pulumi provider over `model`: what the engine attaches in azure-native's place.

A gRPC `ResourceProvider` in the caller's event loop, on loopback, on a port that the
system picks. It translates requests and answers and remembers one thing between calls:
which resources the engine holds in a stack's state, because that is how a create that
runs again after a crash (take the resource over) differs from a replacement that would
put a second resource under the same id (refuse it, as azure-native does).

It accepts no secrets and no output values: the engine unwraps them before it calls and
marks the results itself. What Resource Manager never gives back is marked as secret
here, whether the program did or not.
"""

from __future__ import annotations

import importlib.metadata
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import grpc
import grpc.aio
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from emulator.arm.backend import Backend
from emulator.arm.changes import Change
from emulator.arm.errors import ArmError, UnknownTypeError, ValueKindError
from emulator.arm.model import ResourceManager
from emulator.arm.naming import CREATE_BEFORE_DELETE
from emulator.arm.schema import WRITE_ONLY
from emulator.arm.store import Store
from emulator.arm.values import decode, encode
from emulator.errors import LocalStateError

logger = logging.getLogger(__name__)

_MAX_MESSAGE_BYTES: Final = 400 * 1024 * 1024
"""What the engine itself allows."""

_CHANGE_KINDS: Final = {
    ("add", False): provider_pb2.PropertyDiff.ADD,
    ("add", True): provider_pb2.PropertyDiff.ADD_REPLACE,
    ("delete", False): provider_pb2.PropertyDiff.DELETE,
    ("delete", True): provider_pb2.PropertyDiff.DELETE_REPLACE,
    ("update", False): provider_pb2.PropertyDiff.UPDATE,
    ("update", True): provider_pb2.PropertyDiff.UPDATE_REPLACE,
}
_SOME: Final = provider_pb2.DiffResponse.DIFF_SOME
_NONE: Final = provider_pb2.DiffResponse.DIFF_NONE
_PROPOSED: Final = (
    provider_pb2.CheckRequest.AutonamingOptions.PROPOSE,
    provider_pb2.CheckRequest.AutonamingOptions.ENFORCE,
)

T = TypeVar("T")
Context = grpc.aio.ServicerContext[Any, Any]


class AzureNativeServicer(provider_pb2_grpc.ResourceProviderServicer):
    """The requests of the engine; method names are gRPC's."""

    def __init__(self, manager: ResourceManager) -> None:
        self._manager = manager
        self._held: dict[str, set[str]] = {}

    async def Handshake(  # noqa: N802
        self, request: provider_pb2.ProviderHandshakeRequest, context: Context
    ) -> provider_pb2.ProviderHandshakeResponse:
        """Says what this provider can take."""
        del request, context
        return provider_pb2.ProviderHandshakeResponse(
            accept_secrets=False,
            accept_resources=False,
            accept_outputs=False,
            supports_autonaming_configuration=True,
        )

    async def Attach(  # noqa: N802
        self, request: plugin_pb2.PluginAttach, context: Context
    ) -> empty_pb2.Empty:
        """Lets an engine attach; nothing is asked of it."""
        del request, context
        return empty_pb2.Empty()

    async def GetPluginInfo(  # noqa: N802
        self, request: empty_pb2.Empty, context: Context
    ) -> plugin_pb2.PluginInfo:
        """The version that is stood in for: the installed SDK's."""
        del request, context
        return plugin_pb2.PluginInfo(version=sdk_version())

    async def CheckConfig(  # noqa: N802
        self, request: provider_pb2.CheckRequest, context: Context
    ) -> provider_pb2.CheckResponse:
        """Accepts whatever configures azure-native: credentials mean nothing here."""
        del context
        return provider_pb2.CheckResponse(inputs=request.news)

    async def DiffConfig(  # noqa: N802
        self, request: provider_pb2.DiffRequest, context: Context
    ) -> provider_pb2.DiffResponse:
        """No configuration makes it another provider."""
        del request, context
        return provider_pb2.DiffResponse(changes=_NONE)

    async def Configure(  # noqa: N802
        self, request: provider_pb2.ConfigureRequest, context: Context
    ) -> provider_pb2.ConfigureResponse:
        """Begins a run of the engine: what it held before may be lost since."""
        del context
        if request.urn:
            self._held.pop(_stack_of(request.urn), None)
        else:
            self._held.clear()
        return provider_pb2.ConfigureResponse(
            acceptSecrets=False,
            acceptResources=False,
            acceptOutputs=False,
            supportsPreview=True,
            supports_autonaming_configuration=True,
        )

    async def GetSchema(  # noqa: N802
        self, request: provider_pb2.GetSchemaRequest, context: Context
    ) -> provider_pb2.GetSchemaResponse:
        """An empty schema: programs use the released SDK, nothing is generated."""
        del request, context
        return provider_pb2.GetSchemaResponse(
            schema=f'{{"name": "azure-native", "version": "{sdk_version()}"}}'
        )

    async def Check(  # noqa: N802
        self, request: provider_pb2.CheckRequest, context: Context
    ) -> provider_pb2.CheckResponse:
        """Names, completes and checks inputs."""
        proposed = None
        if request.HasField("autonaming") and request.autonaming.mode in _PROPOSED:
            proposed = request.autonaming.proposed_name or None
        checked = await self._answer(
            context,
            lambda: self._manager.check(
                _type_of(request.urn),
                _name_of(request.urn),
                decode(request.news),
                decode(request.olds),
                seed=request.randomSeed,
                proposed_name=proposed,
                owner=request.urn,
                held=self._holding(request.urn),
            ),
        )
        return provider_pb2.CheckResponse(
            inputs=encode(checked.inputs, secret=WRITE_ONLY),
            failures=[
                provider_pb2.CheckFailure(property=one.path, reason=one.message)
                for one in checked.findings
            ],
        )

    async def Diff(  # noqa: N802
        self, request: provider_pb2.DiffRequest, context: Context
    ) -> provider_pb2.DiffResponse:
        """What changes, and whether that needs another resource."""
        self._hold(request.urn, request.id)
        ignored = set(request.ignoreChanges)
        old_inputs = decode(request.old_inputs)
        found: list[Change] = await self._answer(
            context,
            lambda: self._manager.diff(_type_of(request.urn), old_inputs, decode(request.news)),
        )
        found = [one for one in found if one.path not in ignored and one.top not in ignored]
        details = {
            one.path: provider_pb2.PropertyDiff(
                kind=_CHANGE_KINDS[one.kind, one.replaces], inputDiff=True
            )
            for one in found
        }
        return provider_pb2.DiffResponse(
            changes=_SOME if found else _NONE,
            diffs=list(dict.fromkeys(one.top for one in found)),
            replaces=list(dict.fromkeys(one.top for one in found if one.replaces)),
            deleteBeforeReplace=not old_inputs.get(CREATE_BEFORE_DELETE, False),
            detailedDiff=details,
            hasDetailedDiff=True,
        )

    async def Create(  # noqa: N802
        self, request: provider_pb2.CreateRequest, context: Context
    ) -> provider_pb2.CreateResponse:
        """Creates a resource, or says in a preview what is known of it."""
        token, news = _type_of(request.urn), decode(request.properties)
        if request.preview:
            known = await self._answer(context, lambda: self._manager.preview(token, news))
            return provider_pb2.CreateResponse(id="", properties=encode(known))

        async def create() -> provider_pb2.CreateResponse:
            held = self._holding(request.urn)
            created = await self._manager.create(token, request.urn, news, held=held)
            self._hold(request.urn, created.id)
            return provider_pb2.CreateResponse(
                id=created.id, properties=encode(created.outputs, secret=WRITE_ONLY)
            )

        return await self._answer_async(context, create)

    async def Read(  # noqa: N802
        self, request: provider_pb2.ReadRequest, context: Context
    ) -> provider_pb2.ReadResponse:
        """The resource as it is now; an empty id if it is gone."""

        async def read() -> provider_pb2.ReadResponse:
            found = await self._manager.read(
                _type_of(request.urn), request.id, decode(request.inputs)
            )
            if found is None:
                return provider_pb2.ReadResponse(id="")
            self._hold(request.urn, found.id)
            return provider_pb2.ReadResponse(
                id=found.id,
                inputs=encode(found.inputs, secret=WRITE_ONLY),
                properties=encode(found.outputs, secret=WRITE_ONLY),
            )

        return await self._answer_async(context, read)

    async def Update(  # noqa: N802
        self, request: provider_pb2.UpdateRequest, context: Context
    ) -> provider_pb2.UpdateResponse:
        """Updates a resource, or says in a preview what is known of it."""
        self._hold(request.urn, request.id)
        token, news = _type_of(request.urn), decode(request.news)
        if request.preview:
            known = await self._answer(
                context, lambda: self._manager.preview(token, news, request.id)
            )
            return provider_pb2.UpdateResponse(properties=encode(known))

        async def update() -> provider_pb2.UpdateResponse:
            updated = await self._manager.update(token, request.urn, request.id, news)
            return provider_pb2.UpdateResponse(
                properties=encode(updated.outputs, secret=WRITE_ONLY)
            )

        return await self._answer_async(context, update)

    async def Delete(  # noqa: N802
        self, request: provider_pb2.DeleteRequest, context: Context
    ) -> empty_pb2.Empty:
        """Deletes a resource."""

        async def delete() -> empty_pb2.Empty:
            await self._manager.delete(_type_of(request.urn), request.id)
            self._held.get(_stack_of(request.urn), set()).discard(request.id.casefold())
            return empty_pb2.Empty()

        return await self._answer_async(context, delete)

    async def Invoke(  # noqa: N802
        self, request: provider_pb2.InvokeRequest, context: Context
    ) -> provider_pb2.InvokeResponse:
        """Calls a function."""
        found = await self._answer(
            context, lambda: self._manager.invoke(request.tok, decode(request.args))
        )
        # The member is named `return`, which Python cannot spell as an argument.
        response = provider_pb2.InvokeResponse()
        getattr(response, "return").CopyFrom(encode(found))
        return response

    async def Cancel(  # noqa: N802
        self, request: empty_pb2.Empty, context: Context
    ) -> empty_pb2.Empty:
        """Nothing here takes long enough to be called off."""
        del request, context
        return empty_pb2.Empty()

    def _holding(self, urn: str) -> set[str]:
        return self._held.setdefault(_stack_of(urn), set())

    def _hold(self, urn: str, resource_id: str) -> None:
        if resource_id:
            self._holding(urn).add(resource_id.casefold())

    async def _answer(self, context: Context, call: Callable[[], T]) -> T:
        async def later() -> T:
            return call()

        return await self._answer_async(context, later)

    @staticmethod
    async def _answer_async(context: Context, call: Callable[[], Awaitable[T]]) -> T:
        try:
            return await call()
        except UnknownTypeError as error:
            await context.abort(grpc.StatusCode.NOT_FOUND, str(error))
        except (ArmError, ValueKindError) as error:
            await context.abort(grpc.StatusCode.UNKNOWN, str(error))
        raise AssertionError("abort does not return")


class Provider:
    """A provider that serves.

    Attributes:
        address: `host:port` of its gRPC server.
        port: The port alone.
    """

    def __init__(self, server: grpc.aio.Server, store: Store, port: int) -> None:
        self._server = server
        self._store = store
        self.port = port
        self.address = f"127.0.0.1:{port}"

    async def close(self) -> None:
        """Ends calls under way and closes the store."""
        await self._server.stop(grace=None)
        self._store.close()


async def start_provider(backend: Backend, *, store: Path | None) -> Provider:
    """Serves a provider in this event loop, on a loopback port that the system picks.

    Args:
        backend: The data planes.
        store: SQLite file of the resources that exist; None keeps them in memory.

    Raises:
        LocalStateError: The file is damaged.
        OSError: No port can be had.
    """
    try:
        documents = Store(store)
    except sqlite3.Error as error:
        raise LocalStateError(
            f"{store} is damaged: {error}.\n"
            "It holds what Resource Manager knows: stop the emulator, delete the file, start it "
            "again and run `python -m emulator stack up`."
        ) from error
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
            ("grpc.so_reuseport", 0),
        ]
    )
    servicer = AzureNativeServicer(ResourceManager(backend, documents))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
    try:
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
    except BaseException:
        documents.close()
        raise
    logger.info("Resource Manager answers the Pulumi engine at 127.0.0.1:%d", port)
    return Provider(server, documents, port)


def sdk_version() -> str:
    """Version of the installed azure-native SDK, which is the provider's that it needs."""
    return importlib.metadata.version("pulumi-azure-native")


def _type_of(urn: str) -> str:
    """The type token in `urn:pulumi:STACK::PROJECT::PARENT$TYPE::NAME`."""
    return urn.split("::")[2].rpartition("$")[2]


def _name_of(urn: str) -> str:
    return urn.split("::", 3)[3]


def _stack_of(urn: str) -> str:
    return "::".join(urn.split("::")[:2])
