"""python -m services.scheduler serve | migrate"""

from __future__ import annotations

import gc

from celeriac.scheduler.v1 import schedules_pb2, schedules_pb2_grpc

from services.kernel import broker, process
from services.kernel.grpc.server import Servicer
from services.kernel.metrics import new_registry
from services.scheduler.api import ScheduleApi
from services.scheduler.catalogue import Catalogue
from services.scheduler.dispatch import Dispatcher
from services.scheduler.publisher import Publisher
from services.scheduler.settings import SchedulerSettings


async def serve(settings: SchedulerSettings) -> None:
    # A batch is some ten thousand small objects that live for milliseconds and hold no cycles: collecting
    # after each 700, through all that was imported, takes a quarter of the time of dispatching.
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    registry = new_registry()
    async with (
        process.opened_database(settings, "scheduler") as database,
        broker.connect(settings) as client,
    ):
        publisher = Publisher(client, settings.redis_db_broker)
        dispatcher = Dispatcher(database, publisher, registry)
        api = ScheduleApi(database, Catalogue(database, dispatcher), settings.time_zone)
        contract = schedules_pb2.DESCRIPTOR.services_by_name["ScheduleService"]
        servicers = [Servicer(contract, schedules_pb2_grpc.add_ScheduleServiceServicer_to_server, api)]
        await process.run(
            "scheduler",
            settings,
            database,
            registry,
            servicers=servicers,
            background=[dispatcher.run],
        )


if __name__ == "__main__":
    process.main("scheduler", SchedulerSettings, {"serve": serve})
