"""python -m services.monitor serve | relay | migrate | new-key"""

from __future__ import annotations

from collections.abc import Awaitable

from services.kernel import process
from services.monitor.settings import MonitorSettings

# Each command imports what it needs: the relay is small, and has no use for what serving takes.


def serve(settings: MonitorSettings) -> Awaitable[None]:
    from services.monitor.serving.serve import serve

    return serve(settings)


def relay(settings: MonitorSettings) -> Awaitable[None]:
    from services.monitor.relaying import relay

    return relay(settings)


def new_key(settings: MonitorSettings) -> None:
    """Puts a new key into the file: from now on it encrypts, and those before it still decrypt."""
    from services.monitor.sending.argument_keys import add

    add(settings)


if __name__ == "__main__":
    process.main("monitor", MonitorSettings, {"serve": serve, "relay": relay, "new-key": new_key})
