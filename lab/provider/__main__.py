"""Serves the provider to the engine that started it: `python -m lab.provider ENGINE_ADDRESS`."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from pulumi.provider.experimental.server import ProviderServicer
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime.proto import provider_pb2_grpc

from lab.provider.provider import VERSION, LabAwsProvider
from lab.provider.wire import hide_assets, show_assets

_POLL_S = 1.0
_METHODS = ("CheckConfig", "DiffConfig", "Configure", "Invoke", "Check", "Diff", "Create", "Read", "Update", "Delete")


def _wrapped(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """The method with assets as plain dictionaries, and with an error as its message alone, without its class."""

    async def answer(self: ProviderServicer, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        try:
            hide_assets(request)
            response = await method(self, request, context)
            show_assets(response)
            return response
        except grpc.aio.AbortError:
            raise
        except Exception as error:
            return await context.abort(grpc.StatusCode.UNKNOWN, str(error) or repr(error))

    return answer


class Servicer(ProviderServicer):
    """The SDK's servicer with each method wrapped."""


for _name in _METHODS:
    setattr(Servicer, _name, _wrapped(getattr(ProviderServicer, _name)))


async def serve(engine_address: str) -> None:
    """Serves until the engine ends this process or is gone. Prints the port, as plugins do."""
    server = grpc.aio.server(options=_GRPC_CHANNEL_OPTIONS)
    servicer = Servicer(sys.argv[1:], VERSION, LabAwsProvider(), engine_address=engine_address)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    await _engine_gone()
    await server.stop(None)


async def _engine_gone() -> None:
    """Returns when the engine is gone: one that was killed cannot end its plugins."""
    engine = os.getppid()
    while os.getppid() == engine:
        await asyncio.sleep(_POLL_S)


def main() -> None:
    """Entry point of the plugin."""
    try:
        asyncio.run(serve(next(argument for argument in sys.argv[1:] if not argument.startswith("-"))))
    except KeyboardInterrupt:
        sys.exit(0)


main()
