"""The steps of every call, in their order; server.py tells what each is for."""

from __future__ import annotations

from collections.abc import Sequence

from services.kernel.grpc.access import allow
from services.kernel.grpc.decode import decode
from services.kernel.grpc.errors import tell_errors
from services.kernel.grpc.identify import identify
from services.kernel.grpc.lifetime import end_with_the_token
from services.kernel.grpc.observe import observe
from services.kernel.grpc.page_tokens import bind_page_tokens
from services.kernel.grpc.readable import AS_DECLARED, Readers, hide_unreadable
from services.kernel.grpc.server import Step
from services.kernel.metrics import CallMetrics
from services.kernel.revocations import Revocations
from services.kernel.token_life import TokenLife
from services.kernel.tokens import TokenVerifier


def steps_of_every_call(
    metrics: CallMetrics,
    verifier: TokenVerifier,
    recording: Sequence[Step],
    revocations: Revocations | None = None,
    readers: Readers = AS_DECLARED,
) -> list[Step]:
    """Returns the steps of a server.

    `recording` is the audit step; it and `revocations` are left out where there is no database.
    `readers`: the least role for fields that others than declared in the contract may read.
    """
    return [
        observe(metrics),
        tell_errors,
        decode,
        identify(verifier, revocations),
        *recording,
        end_with_the_token(TokenLife(verifier, revocations)),
        allow,
        bind_page_tokens,
        hide_unreadable(readers),
    ]
