"""python -m services.scheduler serve | migrate | new-key | rotate-keys"""

from __future__ import annotations

import asyncio

import structlog
from celeriac.scheduler.v1 import (
    config_pb2_grpc,
    manifests_pb2_grpc,
    schedules_pb2_grpc,
)

from services.kernel import broker, process, service
from services.kernel.celery_publisher import Publisher
from services.kernel.channel import channel_to
from services.kernel.errors import FailedPrecondition
from services.kernel.grpc.server import Servicer
from services.kernel.live_keys import CHANGES_RETENTION, RUNS_RETENTION, SENDS_RUNS
from services.kernel.live_settings import LiveSettings
from services.kernel.metrics import new_registry
from services.kernel.opened_database import opened_database
from services.kernel.retention import Retention
from services.kernel.sealing import KeyRing, WrongKeyFile, add_key
from services.scheduler.api.config import ConfigApi
from services.scheduler.api.convert_watch import watch_response_to
from services.scheduler.api.manifests import ManifestApi, difference_to
from services.scheduler.api.schedules import ScheduleApi
from services.scheduler.backfill.backfiller import Backfills
from services.scheduler.catalogue.catalogue import Catalogue
from services.scheduler.config.change import Configuration
from services.scheduler.config.feed import ConfigFeed
from services.scheduler.dispatch import garbage
from services.scheduler.dispatch.delivery import Delivery
from services.scheduler.dispatch.dispatcher import Dispatcher
from services.scheduler.dispatch.pending_log import Pending
from services.scheduler.dispatch.turns import Turns
from services.scheduler.explain.explain import Explanations
from services.scheduler.explain.store_history import delete_old_history
from services.scheduler.manifests.apply import Sets
from services.scheduler.manifests.export import Exports
from services.scheduler.manifests.store_apply import delete_old_deletions
from services.scheduler.pace import Pace
from services.scheduler.runs.broker_data import BrokerData
from services.scheduler.runs.losses import Losses
from services.scheduler.runs.monitor_client import Monitor
from services.scheduler.runs.outcomes import Outcomes
from services.scheduler.runs.retention import delete_old_batches, delete_old_runs
from services.scheduler.runs.waiting import Waiting
from services.scheduler.settings import SchedulerSettings
from services.scheduler.watch.hub import Watching
from services.scheduler.watch.store_changes import delete_old_changes

log = structlog.get_logger(__name__)


async def serve(settings: SchedulerSettings) -> None:
    garbage.rarely()
    registry, key_ring, live = new_registry(), opened_keys(settings), LiveSettings("scheduler")
    pace = Pace().times(settings.pace)
    async with (
        opened_database(settings, "scheduler") as database,
        broker.connect(settings) as client,
        channel_to("monitor", settings) as to_monitor,
    ):
        monitor, woken = Monitor(to_monitor), asyncio.Event()
        publisher = Publisher(client, broker.broker_address(settings).database, settings.layout)
        turns = Turns()
        delivery = Delivery(
            database, publisher, registry, turns, pace, lambda: not (live.in_contact and live.get(SENDS_RUNS))
        )
        dispatcher = Dispatcher(database, delivery, on_waiting=woken.set, pace=pace)
        backfills = Backfills(database, delivery, pace)
        pending = Pending(database, pace=pace)
        watching = Watching(database, watch_response_to, registry, turns=turns, pace=pace)
        catalogue = Catalogue(database, delivery)
        explanations = Explanations(
            database,
            monitor,
            dispatcher,
            client.ping,
            turns,
            lambda: live.get(RUNS_RETENTION),
            lambda: live.get(SENDS_RUNS),
        )
        api = ScheduleApi(database, catalogue, backfills, watching, explanations, turns, settings.time_zone)
        outcomes = Outcomes(database, monitor, registry, on_ended=woken.set, pace=pace)
        losses = Losses(database, BrokerData(client, settings.layout), monitor, pace)
        waiting = Waiting(database, monitor, delivery, woken, pace)
        sets = Sets(database, settings.time_zone, difference_to)
        manifest_api = ManifestApi(sets, Exports(database, turns))
        feed = ConfigFeed(database, pace)
        config_api = ConfigApi(Configuration(database, key_ring), feed)
        old_runs = Retention("old_runs", database, live, RUNS_RETENTION, delete_old_runs, pace)
        old_batches = Retention("old_batches", database, live, RUNS_RETENTION, delete_old_batches, pace)
        old_changes = Retention("old_changes", database, live, CHANGES_RETENTION, delete_old_changes, pace)
        old_history = Retention("old_history", database, live, RUNS_RETENTION, delete_old_history, pace)
        old_deletions = Retention("old_deletions", database, live, RUNS_RETENTION, delete_old_deletions, pace)
        await service.run(
            "scheduler",
            settings,
            database,
            registry,
            servicers=_servicers(api, manifest_api, config_api),
            own_steps=[turns.answered],
            background=[
                dispatcher,
                delivery.healing,
                outcomes.loop,
                waiting.loop,
                losses.loop,
                backfills.loop,
                backfills.owner,
                pending.loop,
                feed,
                watching.loop,
                old_runs.loop,
                old_batches.loop,
                old_changes.loop,
                old_deletions.loop,
                old_history.loop,
                garbage.collecting(pace),
            ],
            live=live,
            source=feed.keeping(live),
            checks={"broker": client.ping},
            pace=pace,
        )


def _servicers(schedules: ScheduleApi, manifests: ManifestApi, config: ConfigApi) -> list[Servicer]:
    return [
        Servicer.generated(schedules_pb2_grpc.add_ScheduleServiceServicer_to_server, schedules),
        Servicer.generated(manifests_pb2_grpc.add_ManifestServiceServicer_to_server, manifests),
        Servicer.generated(config_pb2_grpc.add_ConfigServiceServicer_to_server, config),
    ]


def opened_keys(settings: SchedulerSettings) -> KeyRing:
    try:
        return KeyRing(settings.config_keys)
    except WrongKeyFile as error:
        raise SystemExit(f"the settings can't be used:\n  CELERIAC_CONFIG_KEYS: {error}") from None


def new_key(settings: SchedulerSettings) -> None:
    """Puts a new key into the key file: from now on it encrypts, and those before it still decrypt."""
    if settings.config_keys is None:
        raise SystemExit("CELERIAC_CONFIG_KEYS names no file; for example: /etc/celeriac/config-keys.json")
    opened_keys(settings)
    log.info("keys.added", id=add_key(settings.config_keys), file=str(settings.config_keys))


async def rotate_keys(settings: SchedulerSettings) -> None:
    """Has the newest key protect every sensitive value: those before it may then be taken out of the file."""
    key_ring = opened_keys(settings)
    async with opened_database(settings, "scheduler") as database:
        try:
            count = await Configuration(database, key_ring).rewrap()
        except FailedPrecondition as error:
            raise SystemExit(f"nothing was changed: {error.message}") from None
    log.info("keys.rotated", id=key_ring.newest, values=count)


if __name__ == "__main__":
    commands = {"serve": serve, "new-key": new_key, "rotate-keys": rotate_keys}
    process.main("scheduler", SchedulerSettings, commands)
