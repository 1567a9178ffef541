"""Sixth step: ends a stream when its caller's token is not taken any more.

Other calls end soon by themselves.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from services.kernel.errors import Unauthenticated
from services.kernel.grpc.call import Call
from services.kernel.identity import Identity
from services.kernel.token_life import TokenLife


def end_with_the_token(tokens: TokenLife) -> Callable[[Call], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def step(call: Call) -> AsyncIterator[None]:
        caller = call.identity
        # A certificate neither expires here nor can be revoked.
        if caller is None or not call.lasts or caller.valid_until == math.inf:
            yield
            return
        life, end = asyncio.timeout(None), asyncio.get_running_loop().create_future()
        try:
            async with life:
                watching = asyncio.create_task(_watch(tokens, caller, life, end))
                try:
                    yield
                finally:
                    # At once, so that it never ends a call that has ended.
                    watching.cancel()
        except TimeoutError:
            if not life.expired():
                raise
            raise end.result() from None

    return step


async def _watch(
    tokens: TokenLife, caller: Identity, life: asyncio.Timeout, end: asyncio.Future[Unauthenticated]
) -> None:
    end.set_result(await tokens.ended(caller))
    life.reschedule(asyncio.get_running_loop().time())
