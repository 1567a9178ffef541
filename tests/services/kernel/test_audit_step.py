"""A real server with a real outbox: what is kept of a call, whatever becomes of it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import orjson
import pytest
from prometheus_client import CollectorRegistry

from deploy.standalone.tokens import LocalIssuer
from services.kernel.database import Database
from services.kernel.errors import Conflict
from services.kernel.grpc.audit import record
from services.kernel.grpc.server import Server, Servicer
from services.kernel.grpc.steps import steps_of_every_call
from services.kernel.metrics import CallMetrics
from services.kernel.outbox import Outbox
from services.kernel.tokens import TokenVerifier
from tests.support.probe import CONTRACT, SERVICE, Probe, Text, add_probe
from tests.support.settings import kernel_settings

CHANGE, LOAD = f"/{SERVICE}/Change", f"/{SERVICE}/Load"


@dataclass
class Running:
    """The server, and what its handlers have met."""

    channel: grpc.aio.Channel
    outbox: Outbox
    database: Database
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    had_effect: asyncio.Event = field(default_factory=asyncio.Event)
    effects: list[str] = field(default_factory=list)
    kept_before: list[dict[str, Any]] = field(default_factory=list)

    async def kept(self) -> list[dict[str, Any]]:
        return [orjson.loads(entry) for _, entry in await self.outbox.oldest(1000)]

    async def on_text(self, given: str) -> str:
        self.kept_before = await self.kept()
        match given:
            case "conflict":
                raise Conflict("schedules/a", "etag-2")
            case "bug":
                raise RuntimeError("secret=hunter2")
            case "outage":
                raise ConnectionRefusedError("nobody listens")
            case "wait":
                self.begun.set()
                try:
                    await asyncio.Event().wait()
                finally:
                    self.ended.set()
            case "no outbox":
                async with self.database.connection() as connection:
                    await connection.execute("ALTER TABLE audit_outbox_scheduler RENAME TO away")
        self.effects.append(given)
        self.had_effect.set()
        return given

    def change(self, given: str, token: str, **fields: str) -> Any:
        invoke = self.channel.unary_unary(CHANGE, Text.SerializeToString, Text.FromString)
        return invoke(
            Text(text=given, **fields), metadata=(("authorization", f"Bearer {token}"),), timeout=30
        )

    def load(self, given: Any, token: str) -> Any:
        invoke: Any = self.channel.stream_unary(LOAD, None, Text.FromString)
        return invoke(given, metadata=(("authorization", f"Bearer {token}"),), timeout=30)


@pytest.fixture
async def running(certificates: Path, tokens: LocalIssuer, database_url: str) -> AsyncIterator[Running]:
    settings = kernel_settings(certificates, tokens, "scheduler", database_url)
    database = Database(database_url)
    async with database.connection() as connection:
        await connection.execute("TRUNCATE audit_outbox_scheduler")
    outbox = Outbox(database, "scheduler")
    verifier = TokenVerifier(settings.token_keys, settings.token_issuer, settings.token_audience)
    steps = steps_of_every_call(CallMetrics(CollectorRegistry()), verifier, [record(outbox)])
    credentials = grpc.ssl_channel_credentials(
        (certificates / "ca.pem").read_bytes(),
        (certificates / "certs/gateway.key").read_bytes(),
        (certificates / "certs/gateway.crt").read_bytes(),
    )
    probe = Probe(lambda given: state.on_text(given))
    server = Server(settings, [Servicer(CONTRACT, add_probe, probe)], steps)
    await server.start()
    async with grpc.aio.secure_channel(f"localhost:{server.port}", credentials) as channel:
        state = Running(channel, outbox, database)
        yield state
    await server.stop(0)
    await database.close()


@pytest.fixture
def admin(tokens: LocalIssuer) -> str:
    return tokens.mint("admin", subject="mei")


async def code_of(call: Any) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return failed.value.code()


async def test_a_mutations_intent_is_kept_before_its_effect_and_its_outcome_after(
    running: Running, admin: str
) -> None:
    await running.change("done", admin, secret="4111")
    [before] = running.kept_before
    assert (before["kind"], before["actor"], before["method"]) == ("intent", "mei", CHANGE)
    assert before["request"] == {"text": "done", "secret": "[redacted]"}
    intent, outcome = await running.kept()
    assert intent == before
    assert (outcome["kind"], outcome["id"], outcome["code"]) == ("outcome", intent["id"], "OK")


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("conflict", grpc.StatusCode.ABORTED),
        ("bug", grpc.StatusCode.INTERNAL),
        ("outage", grpc.StatusCode.UNAVAILABLE),
    ],
)
async def test_the_outcome_is_the_code_that_the_caller_got(
    running: Running, admin: str, given: str, code: grpc.StatusCode
) -> None:
    assert await code_of(running.change(given, admin)) is code
    _, outcome = await running.kept()
    assert outcome["code"] == code.name
    assert "hunter2" not in str(outcome)


async def test_a_call_that_its_caller_cancels_is_left_without_an_outcome(
    running: Running, admin: str
) -> None:
    call = running.change("wait", admin)
    await asyncio.wait_for(running.begun.wait(), 20)
    call.cancel()
    await asyncio.wait_for(running.ended.wait(), 20)
    # One more call, so that whatever the cancelled one would still write is there.
    await running.change("done", admin)
    assert [(entry["kind"], entry.get("code")) for entry in await running.kept()] == [
        ("intent", None),
        ("intent", None),
        ("outcome", "OK"),
    ]


async def test_too_low_a_role_is_one_entry_a_refusal(running: Running, tokens: LocalIssuer) -> None:
    code = await code_of(running.change("done", tokens.mint("viewer", subject="bo")))
    assert code is grpc.StatusCode.PERMISSION_DENIED
    [refusal] = await running.kept()
    assert (refusal["kind"], refusal["actor"], refusal["code"]) == ("refusal", "bo", "PERMISSION_DENIED")
    assert running.effects == []


async def test_no_token_is_a_refusal_of_nobody(running: Running) -> None:
    assert await code_of(running.change("done", "forged")) is grpc.StatusCode.UNAUTHENTICATED
    [refusal] = await running.kept()
    assert (refusal["kind"], refusal["actor"], refusal["method"]) == ("refusal", "", CHANGE)


async def test_refusals_cannot_fill_the_disk(running: Running, tokens: LocalIssuer) -> None:
    viewer = tokens.mint("viewer")
    await asyncio.gather(*(code_of(running.change("done", viewer)) for _ in range(200)))
    assert 20 <= len(await running.kept()) < 200


async def test_a_stream_that_changes_something_is_one_mutation(running: Running, admin: str) -> None:
    requests = (Text(text=given).SerializeToString() for given in ("a", "b", "c"))
    assert (await running.load(requests, admin)).text == "3"
    assert running.kept_before[0]["kind"] == "intent"
    intent, outcome = await running.kept()
    assert (intent["method"], intent["request"], outcome["code"]) == (LOAD, {"stream": True}, "OK")


async def test_a_stream_that_turns_malformed_has_failed(running: Running, admin: str) -> None:
    requests = iter([Text(text="a").SerializeToString(), b"\x0a\xff"])
    assert await code_of(running.load(requests, admin)) is grpc.StatusCode.INVALID_ARGUMENT
    _, outcome = await running.kept()
    assert outcome["code"] == "INVALID_ARGUMENT"
    assert running.effects == ["a"]


async def test_a_stream_that_its_caller_cancels_is_left_without_an_outcome(
    running: Running, admin: str
) -> None:
    async def requests() -> AsyncIterator[bytes]:
        yield Text(text="a").SerializeToString()
        await asyncio.Event().wait()

    call = running.load(requests(), admin)
    await asyncio.wait_for(running.had_effect.wait(), 20)
    call.cancel()
    await running.change("done", admin)
    kept = await running.kept()
    assert [entry["kind"] for entry in kept if entry["id"] == kept[0]["id"]] == ["intent"]


async def test_without_the_outbox_nothing_is_changed(running: Running, admin: str) -> None:
    async with running.database.connection() as connection:
        await connection.execute("ALTER TABLE audit_outbox_scheduler RENAME TO away")
    try:
        assert await code_of(running.change("done", admin)) is grpc.StatusCode.UNAVAILABLE
        assert running.effects == []
    finally:
        async with running.database.connection() as connection:
            await connection.execute("ALTER TABLE away RENAME TO audit_outbox_scheduler")


async def test_an_effect_whose_outcome_cannot_be_written_is_told_as_what_it_is(
    running: Running, admin: str
) -> None:
    """The table goes away in the middle of the call: the change is made, and the caller hears so."""
    try:
        assert (await running.change("no outbox", admin)).text == "no outbox"
    finally:
        async with running.database.connection() as connection:
            await connection.execute("ALTER TABLE away RENAME TO audit_outbox_scheduler")
    assert [entry["kind"] for entry in await running.kept()] == ["intent"]


async def test_texts_that_entries_are_found_by_are_short_however_long_a_caller_makes_them(
    running: Running, tokens: LocalIssuer
) -> None:
    subject = "".join(random.Random(1).choices("abcdefghij", k=3000))
    await running.change("done", tokens.mint("admin", subject=subject))
    intent, _ = await running.kept()
    assert intent["actor"] == subject[:500]
