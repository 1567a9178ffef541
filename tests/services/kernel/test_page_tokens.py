"""Page tokens of every list of the contracts are opaque, and good for the request that they were given to."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2, status_pb2

from deploy.standalone.tokens import LocalIssuer
from services.kernel.grpc.page_tokens import FREE
from services.kernel.grpc.server import Servicer
from services.kernel.pages import decode_last, encode_last
from tests.support.contract_server import METHODS
from tests.support.kernel_servers import KernelServer, kernel_server
from tests.support.settings import kernel_settings

LISTS = {path: method for path, method in METHODS.items() if "page_token" in method.input_type.fields_by_name}
NEXT = encode_last("schedules/each")
FIELDS = [
    (path, field.name)
    for path, method in LISTS.items()
    for field in method.input_type.fields
    if field.name not in FREE
]


class Lists:
    """Answers every list with a token of its own, and keeps the requests as the handlers get them."""

    def __init__(self) -> None:
        self.arrived: list[Any] = []

    def handler(self, method: MethodDescriptor) -> Any:
        answer = GetMessageClass(method.output_type)

        async def listing(request: Any, context: Any) -> Any:
            self.arrived.append(request)
            decode_last(request.page_token)
            return answer(next_page_token=NEXT)

        return grpc.unary_unary_rpc_method_handler(
            listing, GetMessageClass(method.input_type).FromString, answer.SerializeToString
        )


def servicers(lists: Lists) -> Iterator[Servicer]:
    services: dict[str, ServiceDescriptor] = {
        method.containing_service.full_name: method.containing_service for method in LISTS.values()
    }
    for name, contract in services.items():
        methods = [method for method in LISTS.values() if method.containing_service is contract]

        def add(_: object, server: Any, name: str = name, methods: Any = methods) -> None:
            handlers = {method.name: lists.handler(method) for method in methods}
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, handlers),))

        yield Servicer(contract, add, lists)


class Paging:
    """A server with all lists, called by a super_admin."""

    def __init__(self, server: KernelServer, lists: Lists, token: str) -> None:
        self._server, self._lists, self._token = server, lists, token

    async def page(self, path: str, **fields: Any) -> Any:
        return await self.send(path, GetMessageClass(LISTS[path].input_type)(**fields))

    async def send(self, path: str, request: Any) -> Any:
        return await self._server.call(LISTS[path], request, self._token)

    def arrived(self) -> list[Any]:
        found, self._lists.arrived[:] = list(self._lists.arrived), []
        return found


@pytest.fixture
async def paging(certificates: Path, tokens: LocalIssuer) -> AsyncIterator[Paging]:
    lists, settings = Lists(), kernel_settings(certificates, tokens, "monitor")
    async with kernel_server(settings, certificates, list(servicers(lists))) as server:
        yield Paging(server, lists, tokens.mint("super_admin"))


async def refusal_of_token(call: Any) -> str:
    """The message with which a call is refused for its page_token."""
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    error = failed.value
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT, error
    trailing: Any = dict(error.trailing_metadata() or ())
    bad = error_details_pb2.BadRequest()
    status = status_pb2.Status.FromString(trailing["grpc-status-details-bin"])
    assert any(detail.Unpack(bad) for detail in status.details)
    assert [violation.field for violation in bad.field_violations] == ["page_token"]
    assert "for example: " in (error.details() or "")
    return error.details() or ""


def with_value(request: Any, field: FieldDescriptor) -> Any:
    """Sets the field to a value that is not its default."""
    value = getattr(request, field.name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        value["key"] = "value"
    elif field.message_type is not None:
        value.add() if field.is_repeated else value.SetInParent()
    else:
        one: Any = {
            FieldDescriptor.CPPTYPE_STRING: b"x" if field.type == FieldDescriptor.TYPE_BYTES else "x",
            FieldDescriptor.CPPTYPE_BOOL: True,
        }.get(field.cpp_type, 1)
        setattr(request, field.name, one) if not field.is_repeated else value.append(one)
    return request


def test_there_are_lists_in_the_contracts() -> None:
    assert len(LISTS) >= 8
    assert FIELDS


@pytest.mark.parametrize("path", LISTS)
async def test_the_next_page_is_asked_for_with_what_the_list_gave(path: str, paging: Paging) -> None:
    token = (await paging.page(path, page_size=1)).next_page_token
    assert token
    assert NEXT not in token
    again = await paging.page(path, page_size=7, page_token=token)
    assert again.next_page_token == token
    first, second = paging.arrived()
    assert (first.page_token, second.page_token) == ("", NEXT)


@pytest.mark.parametrize(("path", "name"), FIELDS)
async def test_a_token_of_a_request_with_another_field_is_refused(
    path: str, name: str, paging: Paging
) -> None:
    token = (await paging.page(path)).next_page_token
    paging.arrived()
    request = GetMessageClass(LISTS[path].input_type)(page_token=token)
    other = with_value(request, LISTS[path].input_type.fields_by_name[name])
    assert "another filter" in await refusal_of_token(paging.send(path, other))
    assert paging.arrived() == []
    # And it is good for the request with that field, if it was given for that.
    other.page_token = ""
    other.page_token = (await paging.send(path, other)).next_page_token
    await paging.send(path, other)


async def test_a_token_of_another_list_is_refused(paging: Paging) -> None:
    one, other, *_ = LISTS
    token = (await paging.page(one)).next_page_token
    assert "another filter" in await refusal_of_token(paging.page(other, page_token=token))


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    "token",
    ["@@", "x", "é", NEXT, base64.urlsafe_b64encode(b"\xff" * 16).decode(), "A" * 22, "\0"],
    ids=["@@", "x", "é", "a bare position", "16 bytes", "22 letters", "NUL"],
)
async def test_what_no_list_gave_is_refused(token: str, path: str, paging: Paging) -> None:
    message = await refusal_of_token(paging.page(path, page_token=token))
    assert "is not a token that this list gave" in message or "another filter" in message
    assert paging.arrived() == []
