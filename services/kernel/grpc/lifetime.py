"""Sixth step: ends a stream when its caller's token has expired or is revoked.

Other calls end soon by themselves.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext

from services.kernel.errors import Unauthenticated
from services.kernel.grpc.call import Call
from services.kernel.revocations import Revocations
from services.kernel.tokens import EXPIRED, REVOKED


def end_with_the_token(
    revocations: Revocations | None,
) -> Callable[[Call], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def step(call: Call) -> AsyncIterator[None]:
        caller = call.identity
        # A certificate neither expires here nor can be revoked.
        if caller is None or not call.lasts or caller.valid_until == math.inf:
            yield
            return
        life = asyncio.timeout(caller.valid_until - time.time())

        def is_revoked() -> bool:
            return revocations is not None and revocations.has(caller)

        def look() -> None:
            if is_revoked():
                life.reschedule(asyncio.get_running_loop().time())

        try:
            async with life:
                with revocations.told(look) if revocations else nullcontext():
                    yield
        except TimeoutError:
            if not life.expired():
                raise
            if is_revoked():
                raise Unauthenticated("TOKEN_REVOKED", REVOKED) from None
            raise Unauthenticated("TOKEN_EXPIRED", EXPIRED) from None

    return step
