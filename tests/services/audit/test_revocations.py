"""Revocations: what is refused, what a bad request is told, and how soon services and streams know."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from celeriac.access.v1 import access_pb2 as pb
from celeriac.access.v1 import access_pb2_grpc
from celeriac.monitor.v1 import monitoring_pb2, monitoring_pb2_grpc
from google.protobuf.timestamp_pb2 import Timestamp

from deploy.standalone.tokens import LocalIssuer
from tests.support.calls import Caller, eventually, fields_at_fault, reason_of, refused
from tests.support.monitors import Monitor, running_monitor
from tests.support.processes import ServiceProcess
from tests.support.servers import Valkey, temporary_valkey
from tests.support.token_ids import token_id_of


@pytest.fixture(scope="module")
def broker() -> Iterator[Valkey]:
    with temporary_valkey() as server:
        yield server


@pytest.fixture(scope="module")
def monitor(certificates: Path, tokens: LocalIssuer, database_url: str, broker: Valkey) -> Iterator[Monitor]:
    """Another service on the same database."""
    with running_monitor(certificates, tokens, database_url, broker) as running:
        yield running


@pytest.fixture
def access(service: ServiceProcess, tokens: LocalIssuer) -> Iterator[Any]:
    with service.channel() as channel:
        token = tokens.mint("super_admin", subject="lin")
        yield Caller(access_pb2_grpc.AccessServiceStub(channel), token)


def watcher(monitor: Monitor, token: str) -> Any:
    """A stream of the monitor whose first message has come."""
    stub: Any = monitoring_pb2_grpc.MonitoringServiceStub(monitor.channel)
    credentials = grpc.access_token_call_credentials(token)
    stream = stub.WatchEvents(monitoring_pb2.WatchEventsRequest(), credentials=credentials, timeout=60)
    next(stream)
    return stream


def end_of(stream: Any) -> str:
    """The reason with which it ends."""
    with pytest.raises(grpc.RpcError) as ended:
        for _ in stream:
            pass
    return reason_of(ended.value)


def sees(monitor: Monitor, token: str) -> bool:
    caller = Caller(monitoring_pb2_grpc.MonitoringServiceStub(monitor.channel), token)
    try:
        caller.GetRealtimeMetrics(monitoring_pb2.GetRealtimeMetricsRequest())
    except grpc.RpcError as error:
        assert reason_of(error) == "TOKEN_REVOKED"
        return False
    return True


def test_a_revoked_token_is_refused_everywhere_and_its_stream_ends(
    access: Any, monitor: Monitor, tokens: LocalIssuer
) -> None:
    token, another = (tokens.mint("viewer", subject="mei") for _ in range(2))
    stream = watcher(monitor, token)
    made = access.Revoke(pb.RevokeRequest(token_id=token_id_of(token), reason="left on a train")).revocation
    assert (made.token_id, made.subject, made.actor) == (token_id_of(token), "", "lin")
    assert end_of(stream) == "TOKEN_REVOKED"
    assert not sees(monitor, token)
    assert sees(monitor, another)


def test_all_tokens_of_a_subject_are_revoked_and_one_that_is_issued_later_is_taken(
    access: Any, monitor: Monitor, tokens: LocalIssuer
) -> None:
    before = [tokens.mint("viewer", subject="chen") for _ in range(2)]
    streams = [watcher(monitor, token) for token in before]
    of_another = tokens.mint("viewer", subject="wang")
    access.Revoke(pb.RevokeRequest(subject="chen"))
    assert [end_of(stream) for stream in streams] == ["TOKEN_REVOKED"] * 2
    assert not any(sees(monitor, token) for token in before)
    assert sees(monitor, of_another)
    # Tokens state whole seconds.
    eventually(lambda: sees(monitor, tokens.mint("viewer", subject="chen")), 20)


def test_a_revocation_is_known_to_a_service_that_starts_later(
    access: Any, certificates: Path, tokens: LocalIssuer, database_url: str, broker: Valkey
) -> None:
    token = tokens.mint("viewer", subject="mei")
    access.Revoke(pb.RevokeRequest(token_id=token_id_of(token)))
    with running_monitor(certificates, tokens, database_url, broker) as later:
        assert not sees(later, token)


def test_revocations_are_listed_the_newest_first_until_they_may_be_forgotten(access: Any) -> None:
    for number in range(3):
        access.Revoke(pb.RevokeRequest(token_id=f"listed-{number}", reason=f"reason {number}"))
    soon = Timestamp()
    soon.FromDatetime(dt.datetime.now(dt.UTC) + dt.timedelta(seconds=1))
    access.Revoke(pb.RevokeRequest(token_id="forgotten", expire_time=soon))
    found: list[pb.Revocation] = []
    token = ""
    while True:
        page = access.ListRevocations(pb.ListRevocationsRequest(page_size=2, page_token=token))
        found += page.revocations
        if not (token := page.next_page_token):
            break
    times = [each.create_time.ToDatetime() for each in found]
    assert times == sorted(times, reverse=True)
    listed = [each.reason for each in found if each.token_id.startswith("listed-")]
    assert listed == ["reason 2", "reason 1", "reason 0"]

    def names() -> set[str]:
        page = access.ListRevocations(pb.ListRevocationsRequest(page_size=1000))
        return {each.token_id for each in page.revocations}

    eventually(lambda: "forgotten" not in names(), 20)
    assert "listed-0" in names()


def test_a_bad_request_is_told_what_is_wrong(access: Any) -> None:
    past = Timestamp(seconds=int(time.time()) - 60)
    for request, fields in (
        (pb.RevokeRequest(), ["token_id"]),
        (pb.RevokeRequest(token_id="a", subject="mei"), ["token_id"]),
        (pb.RevokeRequest(token_id="a" * 201), ["token_id"]),
        (pb.RevokeRequest(subject="mei\0"), ["subject"]),
        (pb.RevokeRequest(subject="mei", reason="x" * 501, expire_time=past), ["reason", "expire_time"]),
        (pb.RevokeRequest(subject="mei", expire_time=Timestamp(seconds=2**60)), ["expire_time"]),
    ):
        assert fields_at_fault(access.Revoke, request) == fields
    listed = pb.ListRevocationsRequest(page_token="from elsewhere")
    assert fields_at_fault(access.ListRevocations, listed) == ["page_token"]


def test_only_a_super_admin_revokes(service: ServiceProcess, tokens: LocalIssuer) -> None:
    with service.channel() as channel:
        access = Caller(access_pb2_grpc.AccessServiceStub(channel), tokens.mint("admin"))
        code, message = refused(access.Revoke, pb.RevokeRequest(subject="mei"))
    assert code is grpc.StatusCode.PERMISSION_DENIED and "super_admin" in message
