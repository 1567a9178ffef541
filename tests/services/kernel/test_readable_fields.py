"""What a role may not read is hidden in answers, at any depth, and the message itself is not changed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message_factory import GetMessageClass

from deploy.standalone.tokens import LocalIssuer
from services.kernel.grpc.readable import as_read_by
from services.kernel.grpc.server import Servicer
from services.kernel.identity import Role
from tests.support.compiled import compiled_contract
from tests.support.kernel_servers import KernelServer, kernel_server
from tests.support.settings import kernel_settings

CONTRACT = compiled_contract(
    "celeriac/reading/v1/reading.proto",
    """
    syntax = "proto3";
    package celeriac.reading.v1;
    import "celeriac/access/v1/policy.proto";

    service ReadingService {
      rpc Get(Leaf) returns (Leaf) {
        option (celeriac.access.v1.policy) = {
          least_role: ROLE_VIEWER also: [ROLE_WRITER] callers: ["scheduler"]
        };
      }
      rpc Watch(Leaf) returns (stream Leaf) {
        option (celeriac.access.v1.policy) = {least_role: ROLE_VIEWER};
      }
      rpc Glance(Leaf) returns (Leaf) {
        option (celeriac.access.v1.policy) = {public: true};
      }
    }

    message Leaf {
      string open = 1;
      string secret = 2 [(celeriac.access.v1.readable_from) = ROLE_ADMIN];
      repeated string secrets = 3 [(celeriac.access.v1.readable_from) = ROLE_ADMIN];
      map<string, string> headers = 4 [(celeriac.access.v1.readable_from) = ROLE_ADMIN];
      int64 number = 5 [(celeriac.access.v1.readable_from) = ROLE_ADMIN];
      Leaf inner = 6;
      repeated Leaf leaves = 7;
      map<string, Leaf> named = 8;
      string top = 9 [(celeriac.access.v1.readable_from) = ROLE_SUPER_ADMIN];
      oneof choice {
        string chosen = 10 [(celeriac.access.v1.readable_from) = ROLE_ADMIN];
        string other = 11;
      }
      Plain plain = 12 [(celeriac.access.v1.readable_from) = ROLE_ADMIN];
    }

    message Plain {
      string text = 1;
      Plain inner = 2;
    }
    """,
)
SERVICE = CONTRACT.services_by_name["ReadingService"]
METHODS = SERVICE.methods_by_name
Leaf: Any = GetMessageClass(CONTRACT.message_types_by_name["Leaf"])
Plain: Any = GetMessageClass(CONTRACT.message_types_by_name["Plain"])
HIDDEN = "[redacted]"


def leaf(**more: Any) -> Any:
    return Leaf(
        open="open",
        secret="s",
        secrets=["s1", "s2"],
        headers={"team": "growth", "trace": "7"},
        number=7,
        top="t",
        chosen="c",
        plain=Plain(text="p"),
        **more,
    )


def hidden_leaf(top: str = HIDDEN, **more: Any) -> Any:
    return Leaf(
        open="open",
        secret=HIDDEN,
        secrets=[HIDDEN, HIDDEN],
        headers={"team": HIDDEN, "trace": HIDDEN},
        top=top,
        chosen=HIDDEN,
        **more,
    )


def test_each_kind_of_field_is_hidden_from_a_role_below() -> None:
    assert as_read_by(Role.VIEWER, leaf()) == hidden_leaf()


def test_a_message_within_is_treated_alike_wherever_it_is() -> None:
    whole = leaf(inner=leaf(inner=leaf()), leaves=[leaf(), leaf()], named={"a": leaf(leaves=[leaf()])})
    assert as_read_by(Role.VIEWER, whole) == hidden_leaf(
        inner=hidden_leaf(inner=hidden_leaf()),
        leaves=[hidden_leaf(), hidden_leaf()],
        named={"a": hidden_leaf(leaves=[hidden_leaf()])},
    )


@pytest.mark.parametrize("role", [None, Role.WRITER])
def test_roles_beside_the_order_and_callers_without_one_read_no_such_field(role: Role | None) -> None:
    assert as_read_by(role, leaf()) == hidden_leaf()


def test_a_greater_role_reads_more_and_a_service_reads_all() -> None:
    admins = leaf()
    admins.top = HIDDEN
    assert as_read_by(Role.ADMIN, leaf()) == admins
    for role in (Role.SUPER_ADMIN, Role.SERVICE):
        assert as_read_by(role, leaf()) == leaf()


def test_a_server_may_open_a_field_to_a_lesser_role_and_close_one_to_all_but_a_greater() -> None:
    package = Leaf.DESCRIPTOR.full_name
    readers = frozenset({(f"{package}.secret", Role.VIEWER), (f"{package}.open", Role.ADMIN)})
    seen = hidden_leaf(inner=hidden_leaf())
    for each in (seen, seen.inner):
        each.secret, each.open = "s", HIDDEN
    assert as_read_by(Role.VIEWER, leaf(inner=leaf()), readers) == seen
    assert as_read_by(None, Leaf(secret="s"), readers) == Leaf(secret=HIDDEN), (
        "never to a caller without a role"
    )
    assert as_read_by(Role.VIEWER, leaf(inner=leaf())) == hidden_leaf(inner=hidden_leaf()), (
        "in that server only"
    )


def test_what_is_not_set_stays_so() -> None:
    assert as_read_by(Role.VIEWER, Leaf(open="open", other="o")) == Leaf(open="open", other="o")


def test_the_message_itself_is_never_changed() -> None:
    whole = leaf(inner=leaf(), leaves=[leaf()])
    before = whole.SerializeToString(deterministic=True)
    as_read_by(Role.VIEWER, whole)
    assert whole.SerializeToString(deterministic=True) == before


def test_a_message_of_a_type_without_such_fields_is_not_even_copied() -> None:
    message = Plain(text="p", inner=Plain(text="q"))
    assert as_read_by(Role.VIEWER, message) is message
    whole = leaf()
    assert as_read_by(Role.SUPER_ADMIN, whole) is whole


class Reading:
    """Answers each call with one and the same message."""

    shared = leaf(inner=leaf())

    async def get(self, request: Any, context: Any) -> Any:
        return self.shared

    async def watch(self, request: Any, context: Any) -> AsyncIterator[Any]:
        yield self.shared


def add_reading(reading: Reading, server: Any) -> None:
    shape: dict[str, Any] = {
        "request_deserializer": Leaf.FromString,
        "response_serializer": Leaf.SerializeToString,
    }
    handlers = {
        "Get": grpc.unary_unary_rpc_method_handler(reading.get, **shape),
        "Glance": grpc.unary_unary_rpc_method_handler(reading.get, **shape),
        "Watch": grpc.unary_stream_rpc_method_handler(reading.watch, **shape),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE.full_name, handlers),))


@pytest.fixture
async def running(certificates: Path, tokens: LocalIssuer) -> AsyncIterator[KernelServer]:
    settings = kernel_settings(certificates, tokens, "monitor")
    async with kernel_server(settings, certificates, [Servicer(SERVICE, add_reading, Reading())]) as server:
        yield server


@pytest.mark.parametrize("method", ["Get", "Watch"])
async def test_answers_and_streams_of_one_message_differ_by_the_readers_role(
    method: str, running: KernelServer, tokens: LocalIssuer
) -> None:
    admins = leaf(inner=leaf())
    admins.top = admins.inner.top = HIDDEN
    for role, seen in (
        ("viewer", hidden_leaf(inner=hidden_leaf())),
        ("admin", admins),
        ("super_admin", leaf(inner=leaf())),
        ("viewer", hidden_leaf(inner=hidden_leaf())),
    ):
        assert await running.call(METHODS[method], Leaf(), tokens.mint(role)) == seen


async def test_a_writer_and_a_caller_without_a_token_read_as_little_as_a_viewer(
    running: KernelServer, tokens: LocalIssuer
) -> None:
    hidden = hidden_leaf(inner=hidden_leaf())
    assert await running.call(METHODS["Get"], Leaf(), tokens.mint("writer")) == hidden
    assert await running.call(METHODS["Glance"], Leaf()) == hidden


async def test_a_service_reads_all_by_its_certificate(running: KernelServer) -> None:
    assert await running.call(METHODS["Get"], Leaf(), component="scheduler") == leaf(inner=leaf())
