"""The commands: `serve` builds the door, and runs it; `enrol` and `public-key` print what they make."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.routing import WebSocketRoute

from services.door.app import Door
from services.door.callers import Callers
from services.door.https import listening
from services.door.live.endpoint import Live
from services.door.live.feeds import Feeds
from services.door.live.metrics import LiveMetrics
from services.door.observe import Metrics
from services.door.pace import Pace
from services.door.paths import LIVE
from services.door.second_factor import SecondFactors
from services.door.settings import DoorSettings
from services.door.sign_in import SignIn
from services.door.signing import Signer, public_jwk
from services.kernel import process
from services.kernel.certificates import Certificates
from services.kernel.channel import channel_to
from services.kernel.database import Database
from services.kernel.loops import Background
from services.kernel.metrics import follow_certificate, follow_outbox, new_registry
from services.kernel.opened_database import opened_database
from services.kernel.outbox import Outbox
from services.kernel.relay import Relay
from services.kernel.revocations import Revocations
from services.kernel.sealing import KeyRing
from services.kernel.self_report import SelfReport
from services.kernel.token_life import TokenLife
from services.kernel.tokens import TokenVerifier

NO_SEALING_KEYS = "name a key file by CELERIAC_DOOR_SEALING_KEYS (docs/sign-in.md has its form)"
MOST_SUBJECT = 200


async def serve(settings: DoorSettings) -> None:
    pace = Pace().times(settings.pace)
    async with (
        opened_database(settings, "door") as database,
        channel_to("audit", settings) as to_audit,
        channel_to("monitor", settings) as to_monitor,
    ):
        registry, outbox = new_registry(), Outbox(database, "door")
        follow_outbox(registry, outbox)
        certificates = Certificates(settings)
        follow_certificate(registry, certificates)
        verifier = TokenVerifier(
            settings.token_keys, settings.token_issuer, settings.token_audience, settings.second_factor_life
        )
        revocations = Revocations(database, pace)
        callers = Callers(verifier, revocations)
        sign_in = SignIn(
            database,
            outbox,
            _signer(settings),
            callers,
            revocations,
            _factors(settings, database),
            settings.instance,
            registry,
        )
        feeds = Feeds(to_monitor)
        live = Live(callers, TokenLife(verifier, revocations), feeds)
        LiveMetrics(registry, live, feeds)
        observed = Metrics(registry)
        door = Door(observed, [*sign_in.routes(), WebSocketRoute(LIVE, live.live)])
        work: list[Background] = [revocations, Relay(outbox, to_audit, pace).loop, feeds]
        report = SelfReport(
            database,
            outbox,
            [heartbeat for each in work for heartbeat in each.heartbeats],
            certificates,
            lambda: observed.refused,
            pace,
        )
        await process.run_alone(
            settings,
            registry,
            background=[*work, report.loop],
            checks={"database": database.check},
            # Nobody who is shut out may find a moment in which that is not known.
            first=revocations.known,
            serving=_serving(door, settings),
        )


async def enrol(settings: DoorSettings) -> None:
    """Makes a second factor for the person named on standard input; prints what an authenticator needs."""
    subject = sys.stdin.readline().strip()
    if not subject or not subject.isprintable() or len(subject) > MOST_SUBJECT:
        raise SystemExit("name a person on standard input: echo mei | python -m services.door enrol")
    async with opened_database(settings, "door") as database:
        sys.stdout.write(f"{await _factors(settings, database).enrol(subject)}\n")


def public_key(settings: DoorSettings) -> None:
    """Prints the public half of the signing key, for the key set by which tokens are verified."""
    sys.stdout.write(f"{json.dumps(public_jwk(settings.signing_key))}\n")


def _signer(settings: DoorSettings) -> Signer:
    return Signer(
        settings.signing_key, settings.token_issuer, settings.token_audience, settings.second_factor_life
    )


def _factors(settings: DoorSettings, database: Database) -> SecondFactors:
    return SecondFactors(database, KeyRing(settings.sealing_keys, NO_SEALING_KEYS))


@asynccontextmanager
async def _serving(door: Door, settings: DoorSettings) -> AsyncIterator[None]:
    """Serves until it is left: then it says so to the gateway, waits until that has heard, and stops."""
    async with listening(door.application, settings):
        door.serves = True
        yield
        door.serves = False
        await asyncio.sleep(settings.drain)
