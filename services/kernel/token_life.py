"""How long a token is taken: until it expires, is revoked, or its key is withdrawn from the key set.

Each call is checked when it comes. What lasts (a stream, a WebSocket) waits for the end of its token here.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import nullcontext, suppress

from services.kernel.errors import Unauthenticated
from services.kernel.identity import Identity
from services.kernel.revocations import Revocations
from services.kernel.tokens import EXPIRED, KEY_WITHDRAWN, REVOKED, TokenVerifier

# Between two looks at the key set. The gateway takes up a changed one as soon.
KEYS_LOOK_SECONDS = 5.0


class TokenLife:
    """The end of tokens. `revocations` is left out where there is no database."""

    def __init__(self, verifier: TokenVerifier, revocations: Revocations | None) -> None:
        self._verifier = verifier
        self._revocations = revocations

    async def ended(self, caller: Identity) -> Unauthenticated:
        """Waits until the token that proved this identity is not taken any more; returns the reason."""
        changed = asyncio.Event()
        with self._revocations.told(changed.set) if self._revocations else nullcontext():
            while (end := self._end_of(caller)) is None:
                changed.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(caller.valid_until - time.time(), KEYS_LOOK_SECONDS)):
                        await changed.wait()
        return end

    def _end_of(self, caller: Identity) -> Unauthenticated | None:
        if self._revocations is not None and self._revocations.has(caller):
            return Unauthenticated("TOKEN_REVOKED", REVOKED)
        if caller.valid_until <= time.time():
            return Unauthenticated("TOKEN_EXPIRED", EXPIRED)
        if not self._verifier.has_key_of(caller):
            return Unauthenticated("TOKEN_INVALID", KEY_WITHDRAWN)
        return None
