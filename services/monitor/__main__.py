"""python -m services.monitor serve | relay | migrate"""

from __future__ import annotations

from collections.abc import Awaitable

from services.kernel import process
from services.monitor.settings import MonitorSettings

# Each command imports what it needs: the relay is small, and has no use for what serving takes.


def serve(settings: MonitorSettings) -> Awaitable[None]:
    from services.monitor.serving import serve

    return serve(settings)


def relay(settings: MonitorSettings) -> Awaitable[None]:
    from services.monitor.relaying import relay

    return relay(settings)


if __name__ == "__main__":
    process.main("monitor", MonitorSettings, {"serve": serve, "relay": relay})
