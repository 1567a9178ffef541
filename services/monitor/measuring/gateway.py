"""How many callers the gateway itself refused, who never reach a service: Envoy's admin socket tells."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from pathlib import Path

from services.kernel.self_report import RecentCount

GATEWAY = "gateway"
ANSWER_SECONDS = 3.0
# Calls that the check of the token refused: without a token, with an expired or a forged one.
REFUSED = re.compile(rb"^http\.gateway\.jwt_authn\.denied: (\d+)\r?$", re.MULTILINE)
STATISTICS = b"GET /stats?filter=jwt_authn%5C.denied HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n"


class GatewayRefusals:
    """`admin`: the path of Envoy's admin socket."""

    def __init__(self, admin: Path, now: Callable[[], float] = time.monotonic) -> None:
        self._admin, self._now = admin, now
        self._recent = RecentCount()

    async def look(self) -> float:
        """Returns those of the last five minutes. Raises OSError if the gateway does not tell."""
        async with asyncio.timeout(ANSWER_SECONDS):
            reader, writer = await asyncio.open_unix_connection(self._admin)
            try:
                writer.write(STATISTICS)
                told = await reader.read()
            finally:
                writer.close()
        refused = REFUSED.search(told)
        if refused is None:
            # It counts from the first listener on.
            raise ConnectionError("the gateway does not tell whom it refused")
        return self._recent.look(float(refused[1]), self._now())
