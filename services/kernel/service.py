"""A service as a process: serves calls, and does what every service does in the background."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from prometheus_client import CollectorRegistry

from services.kernel import logging, metrics, process
from services.kernel.certificates import Certificates
from services.kernel.channel import channel_to
from services.kernel.database import Database
from services.kernel.grpc.audit import record
from services.kernel.grpc.readable import AS_DECLARED, Readers
from services.kernel.grpc.server import Elsewhere, Server, Servicer, Step
from services.kernel.grpc.steps import steps_of_every_call
from services.kernel.live_keys import LOG_LEVEL
from services.kernel.live_settings import Follower, LiveSettings
from services.kernel.loops import Background
from services.kernel.outbox import Outbox
from services.kernel.pace import USUAL, Pace
from services.kernel.probes import Check
from services.kernel.relay import Relay
from services.kernel.revocations import Revocations
from services.kernel.self_report import SelfReport
from services.kernel.settings import KernelSettings
from services.kernel.stuck_clients import StuckClients
from services.kernel.tokens import TokenVerifier


async def run(
    service: str,
    settings: KernelSettings,
    database: Database,
    registry: CollectorRegistry,
    *,
    servicers: Sequence[Servicer],
    own_steps: Sequence[Step] = (),
    background: Sequence[Background] = (),
    elsewhere: Elsewhere | None = None,
    live: LiveSettings | None = None,
    source: Background | None = None,
    checks: Mapping[str, Check] = MappingProxyType({}),
    conditions: Mapping[str, Callable[[], bool]] = MappingProxyType({}),
    readers: Readers = AS_DECLARED,
    pace: Pace = USUAL,
) -> None:
    """Serves until SIGTERM or SIGINT, then finishes the calls in flight, and last ends the background work.

    A background loop that fails ends the process (process.py).

    `own_steps`: steps of this service alone, taken for each call after those of all services.
    `source`: keeps `live` up to date; by default it follows the scheduler.
    `checks`: what must be well, beside the database, for the process to be ready.
    `conditions`: what else the service tells of its health, without being unready or refusing calls.
    `readers`: the least role for fields that others than declared in the contract may read.
    """
    live = _logging_by(live or LiveSettings(service), settings)
    metrics.follow_config(registry, live)
    outbox = Outbox(database, service)
    metrics.follow_outbox(registry, outbox)
    certificates = Certificates(settings)
    metrics.follow_certificate(registry, certificates)
    verifier = TokenVerifier(
        settings.token_keys, settings.token_issuer, settings.token_audience, settings.second_factor_life
    )
    revocations = Revocations(database, pace)
    calls, recording = metrics.CallMetrics(registry), [record(outbox)]
    every = steps_of_every_call(calls, verifier, recording, revocations, readers)
    steps = [*every, *own_steps]
    async with (
        channel_to("audit", settings) as to_audit,
        channel_to("scheduler", settings) as to_scheduler,
    ):
        relay, following = Relay(outbox, to_audit, pace).loop, source or Follower(live, to_scheduler, pace)
        work = [*background, relay, following, revocations, StuckClients(database, pace).loop]
        heartbeats = [heartbeat for each in work for heartbeat in each.heartbeats]
        report = SelfReport(
            database,
            outbox,
            heartbeats,
            certificates,
            lambda: metrics.counted(calls.calls, code="UNAUTHENTICATED"),
            pace,
        )
        work.append(report.loop)
        # Made before the port for probes answers: a service that can't listen ends with that reason.
        server = Server(settings, servicers, steps, elsewhere, heartbeats, conditions)
        async with process.running(
            settings, registry, work, {"database": database.check, **checks}
        ) as running:
            # Before the first call: nobody who is shut out may find a moment in which that is not known.
            if not await running.waited_for(revocations.known()):
                return
            await server.start()
            if elsewhere is not None:
                running.beside(server.follow_elsewhere())
            await running.until_stopped(drain_seconds=settings.drain, grace_seconds=settings.shutdown_grace)
            await server.stop(settings.shutdown_grace, settings.drain)


def _logging_by(live: LiveSettings, settings: KernelSettings) -> LiveSettings:
    def apply() -> None:
        wanted = live.get(LOG_LEVEL)
        logging.set_level(settings.log_level if wanted == LOG_LEVEL.default else wanted)

    live.on_change(apply)
    return live
