"""Sixth step: ends a stream when its caller's token has expired. Other calls end soon by themselves."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.kernel.errors import Unauthenticated
from services.kernel.grpc.call import Call
from services.kernel.tokens import EXPIRED


@asynccontextmanager
async def end_with_the_token(call: Call) -> AsyncIterator[None]:
    if call.identity is None or not call.lasts or call.identity.valid_until == math.inf:
        yield
        return
    left = call.identity.valid_until - time.time()
    try:
        async with asyncio.timeout(left) as life:
            yield
    except TimeoutError:
        if not life.expired():
            raise
        raise Unauthenticated("TOKEN_EXPIRED", EXPIRED) from None
