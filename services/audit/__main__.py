"""python -m services.audit serve | migrate"""

from __future__ import annotations

from celeriac.access.v1 import access_pb2_grpc
from celeriac.audit.v1 import audit_pb2_grpc

from services.audit.api.access import AccessApi
from services.audit.api.audit import AuditApi
from services.audit.checkpoint import NoteSigner
from services.audit.log import AuditLog
from services.audit.pace import Pace
from services.audit.settings import AuditSettings
from services.audit.watch import LogWatch
from services.kernel import process, service
from services.kernel.grpc.health import LOG_TAKES_ENTRIES
from services.kernel.grpc.server import Servicer
from services.kernel.metrics import new_registry
from services.kernel.opened_database import opened_database
from services.kernel.sessions import opened_sessions


async def serve(settings: AuditSettings) -> None:
    pace = Pace().times(settings.pace)
    signer = NoteSigner.load(settings.origin, settings.key)
    async with (
        opened_database(settings, "audit") as database,
        opened_sessions(database) as sessions,
    ):
        log, registry = AuditLog(sessions, signer), new_registry()
        api = AuditApi(sessions, log)
        servicers = [
            Servicer.generated(audit_pb2_grpc.add_AuditServiceServicer_to_server, api),
            Servicer.generated(access_pb2_grpc.add_AccessServiceServicer_to_server, AccessApi(database)),
        ]
        watch = LogWatch(log, registry, pace)
        await service.run(
            "audit",
            settings,
            database,
            registry,
            servicers=servicers,
            background=[watch.loop],
            # The monitor asks for the reason when the log takes no entries, and not each time before.
            conditions={LOG_TAKES_ENTRIES: lambda: not log.faults},
            pace=pace,
        )


if __name__ == "__main__":
    process.main("audit", AuditSettings, {"serve": serve})
