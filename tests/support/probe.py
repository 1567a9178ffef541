"""A contract made for tests of the kernel: its methods do as they are told.

ProbeService/Say     viewer, and the scheduler: answers with the text; special texts raise
ProbeService/Change  admin, audited
ProbeService/Hello   public
ProbeService/Count   viewer: a stream that counts up, for ever
ProbeService/Sum     viewer: a client stream; answers with the number of texts
ProbeService/Write   admin, and writer: as `Say`
ProbeService/Tell    the scheduler and no token: as `Say`
ProbeService/Load    admin, audited: a client stream; does as `Say` with each text, answers with their number
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from celeriac.access.v1 import policy_pb2
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

SERVICE = "celeriac.probe.v1.ProbeService"
POLICIES = {
    "Say": policy_pb2.Policy(least_role=policy_pb2.ROLE_VIEWER, callers=["scheduler"]),
    "Change": policy_pb2.Policy(least_role=policy_pb2.ROLE_ADMIN, audited=True),
    "Hello": policy_pb2.Policy(public=True),
    "Count": policy_pb2.Policy(least_role=policy_pb2.ROLE_VIEWER),
    "Sum": policy_pb2.Policy(least_role=policy_pb2.ROLE_VIEWER),
    "Write": policy_pb2.Policy(least_role=policy_pb2.ROLE_ADMIN, also=[policy_pb2.ROLE_WRITER]),
    "Tell": policy_pb2.Policy(least_role=policy_pb2.ROLE_SERVICE, callers=["scheduler"]),
    "Load": policy_pb2.Policy(least_role=policy_pb2.ROLE_ADMIN, audited=True),
}


def _contract() -> Any:
    file = descriptor_pb2.FileDescriptorProto(
        name="celeriac/probe/v1/probe.proto",
        package="celeriac.probe.v1",
        syntax="proto3",
        dependency=["celeriac/access/v1/policy.proto"],
    )
    extension: Any = policy_pb2.sensitive
    message = file.message_type.add(name="Text")
    text_type = descriptor_pb2.FieldDescriptorProto.TYPE_STRING
    once = descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL
    message.field.add(name="text", number=1, type=text_type, label=once, json_name="text")
    secret = message.field.add(name="secret", number=2, type=text_type, label=once, json_name="secret")
    secret.options.Extensions[extension] = True
    policy: Any = policy_pb2.policy
    service = file.service.add(name="ProbeService")
    for name, stated in POLICIES.items():
        method = service.method.add(
            name=name,
            input_type=".celeriac.probe.v1.Text",
            output_type=".celeriac.probe.v1.Text",
            server_streaming=name == "Count",
            client_streaming=name in {"Sum", "Load"},
        )
        method.options.Extensions[policy].CopyFrom(stated)
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    return pool.FindServiceByName(SERVICE)


CONTRACT = _contract()
Text: Any = message_factory.GetMessageClass(CONTRACT.file.message_types_by_name["Text"])


class Probe:
    """Answers the contract. `on_text` is what `Say` and `Change` do with a text."""

    def __init__(self, on_text: Callable[[str], Awaitable[str]]) -> None:
        self.on_text = on_text

    async def say(self, request: Any, context: Any) -> Any:
        return Text(text=await self.on_text(request.text))

    async def count(self, request: Any, context: Any) -> AsyncIterator[Any]:
        number = 0
        while True:
            yield Text(text=str(number))
            number += 1
            await asyncio.sleep(0.01)

    async def sum(self, requests: AsyncIterator[Any], context: Any) -> Any:
        return Text(text=str(len([request async for request in requests])))

    async def load(self, requests: AsyncIterator[Any], context: Any) -> Any:
        return Text(text=str(len([await self.on_text(request.text) async for request in requests])))


def add_probe(probe: Probe, server: Any) -> None:
    """As the generated `add_…Servicer_to_server` do."""
    shape: dict[str, Any] = {
        "request_deserializer": Text.FromString,
        "response_serializer": Text.SerializeToString,
    }
    handlers = {
        "Say": grpc.unary_unary_rpc_method_handler(probe.say, **shape),
        "Change": grpc.unary_unary_rpc_method_handler(probe.say, **shape),
        "Hello": grpc.unary_unary_rpc_method_handler(probe.say, **shape),
        "Write": grpc.unary_unary_rpc_method_handler(probe.say, **shape),
        "Tell": grpc.unary_unary_rpc_method_handler(probe.say, **shape),
        "Count": grpc.unary_stream_rpc_method_handler(probe.count, **shape),
        "Sum": grpc.stream_unary_rpc_method_handler(probe.sum, **shape),
        "Load": grpc.stream_unary_rpc_method_handler(probe.load, **shape),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
