"""The servicer of AccessService: revocations of tokens."""

from __future__ import annotations

import datetime as dt

import structlog
from celeriac.access.v1 import access_pb2 as pb
from celeriac.access.v1 import access_pb2_grpc

from services.audit.revocations import Revocation, RevocationStore
from services.kernel.database import Database
from services.kernel.grpc.wire import Context, moment_in, timestamp
from services.kernel.identity import current_subject
from services.kernel.pages import decode_place, encode_place, next_page_token, page_size
from services.kernel.validation import Faults

log = structlog.get_logger(__name__)

COLLECTION = "revocations/"
MOST_CHARACTERS, MOST_REASON = 200, 500
KEPT = dt.timedelta(days=366)
TOKEN_EXAMPLE, SUBJECT_EXAMPLE = "8f14e45fceea467f9d3a4c3b1f2f0d17", "mei"


class AccessApi(access_pb2_grpc.AccessServiceServicer):
    def __init__(self, database: Database) -> None:
        self._database = database

    async def Revoke(self, request: pb.RevokeRequest, context: Context) -> pb.RevokeResponse:
        faults = Faults()
        one = bool(request.token_id) != bool(request.subject)
        fault = "and subject are both set" if request.token_id else "and subject are both unset"
        faults.unless(one, "token_id", fault, TOKEN_EXAMPLE)
        faults.text("token_id", request.token_id, TOKEN_EXAMPLE, most=MOST_CHARACTERS, required=False)
        faults.text("subject", request.subject, SUBJECT_EXAMPLE, most=MOST_CHARACTERS, required=False)
        faults.text("reason", request.reason, "left on a train", most=MOST_REASON, required=False)
        now = dt.datetime.now(dt.UTC)
        expires = moment_in(request, "expire_time", faults) or now + KEPT
        faults.unless(expires > now, "expire_time", "has passed", f"{now.year + 1}-01-01T00:00:00Z")
        faults.raise_any()
        async with self._database.transaction() as connection:
            store = RevocationStore(connection)
            await store.forget_expired()
            made = await store.add(
                request.token_id or None, request.subject or None, expires, current_subject(), request.reason
            )
        log.info("access.revoked", token_id=request.token_id, subject=request.subject)
        return pb.RevokeResponse(revocation=_to(made))

    async def ListRevocations(
        self, request: pb.ListRevocationsRequest, context: Context
    ) -> pb.ListRevocationsResponse:
        size, after = page_size(request.page_size), decode_place(request.page_token)
        async with self._database.reading() as connection:
            found = await RevocationStore(connection).newest(after, size + 1)
        token = next_page_token(found, size, lambda last: encode_place((last.created_at, last.id)))
        return pb.ListRevocationsResponse(revocations=map(_to, found[:size]), next_page_token=token)


def _to(revocation: Revocation) -> pb.Revocation:
    return pb.Revocation(
        name=COLLECTION + revocation.id,
        token_id=revocation.token_id,
        subject=revocation.subject,
        create_time=timestamp(revocation.created_at),
        expire_time=timestamp(revocation.expires_at),
        actor=revocation.actor,
        reason=revocation.reason,
    )
