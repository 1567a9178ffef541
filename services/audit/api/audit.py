"""The servicer of AuditService."""

from __future__ import annotations

import uuid

from celeriac.audit.v1 import audit_pb2, audit_pb2_grpc

from services.audit.entries import parse_entry
from services.audit.log import AuditLog
from services.audit.merkle import EMPTY_ROOT
from services.audit.records import Outcome, Record, RecordFilter
from services.audit.store import LogStore
from services.kernel.errors import FieldFault, Invalid, NotFound
from services.kernel.grpc.enums import from_wire, wire_values
from services.kernel.grpc.wire import Context, duration, timestamp, window_in
from services.kernel.pages import decode_before, encode_before, next_page_token, page_size
from services.kernel.sessions import Sessions
from services.kernel.validation import Faults

MOST_ENTRIES = 1000
COLLECTION = "auditRecords/"
# The filters of a list that are texts, each with the example in errors about it.
FILTERS = {
    "actors": "operator",
    "methods": "TriggerSchedule",
    "resources": "schedules/cleanup-cache-daily",
    "addresses": "127.0.0.1",
}
MOST_VALUES = 100
OUTCOMES = wire_values(audit_pb2.Outcome, Outcome)
OUTCOMES_FROM_WIRE = from_wire(OUTCOMES)


class AuditApi(audit_pb2_grpc.AuditServiceServicer):
    def __init__(self, sessions: Sessions, log: AuditLog) -> None:
        self._sessions = sessions
        self._log = log

    async def Append(self, request: audit_pb2.AppendRequest, context: Context) -> audit_pb2.AppendResponse:
        faults = Faults()
        count = len(request.entries)
        faults.unless(count > 0, "entries", "is empty", "the canonical JSON of one entry")
        faults.unless(count <= MOST_ENTRIES, "entries", f"has {count}, at most 1000 are taken", "500")
        faults.raise_any()
        entries = [parse_entry(body, f"entries[{at}]") for at, body in enumerate(request.entries)]
        appended, size = await self._log.append(entries)
        return audit_pb2.AppendResponse(appended=appended, size=size)

    async def ListRecords(
        self, request: audit_pb2.ListRecordsRequest, context: Context
    ) -> audit_pb2.ListRecordsResponse:
        wanted, size = _filter(request), page_size(request.page_size)
        position = decode_before(request.page_token)
        async with self._sessions.reading() as session:
            records = await LogStore(session).list_records(wanted, position, size + 1)
        token = next_page_token(records, size, lambda last: encode_before(last.index))
        return audit_pb2.ListRecordsResponse(
            records=[_record(record) for record in records[:size]], next_page_token=token
        )

    async def GetRecord(
        self, request: audit_pb2.GetRecordRequest, context: Context
    ) -> audit_pb2.GetRecordResponse:
        async with self._sessions.reading() as session:
            record = await LogStore(session).get_record(_event_id(request.name))
        if record is None:
            raise NotFound("record", request.name)
        return audit_pb2.GetRecordResponse(record=_record(record))

    async def GetCheckpoint(
        self, request: audit_pb2.GetCheckpointRequest, context: Context
    ) -> audit_pb2.GetCheckpointResponse:
        checkpoint = (await self._log.check()).checkpoint
        self._log.refuse_if_stopped()
        if checkpoint is None:
            return audit_pb2.GetCheckpointResponse(size=0, root=EMPTY_ROOT)
        return audit_pb2.GetCheckpointResponse(
            size=checkpoint.size,
            root=checkpoint.root,
            note=checkpoint.note,
            time=timestamp(checkpoint.time),
        )

    async def GetStatus(
        self, request: audit_pb2.GetStatusRequest, context: Context
    ) -> audit_pb2.GetStatusResponse:
        await self._log.check()
        return audit_pb2.GetStatusResponse(accepting=not self._log.faults, faults=self._log.faults)

    async def Verify(self, request: audit_pb2.VerifyRequest, context: Context) -> audit_pb2.VerifyResponse:
        found = await self._log.verify()
        return audit_pb2.VerifyResponse(
            intact=not found.discrepancies,
            size=found.tree.size,
            root=found.tree.root(),
            discrepancies=[
                audit_pb2.Discrepancy(index=index, fault=fault) for index, fault in found.discrepancies
            ],
        )


def _event_id(name: str) -> uuid.UUID:
    """Returns the UUID in the name of a record; raises `Invalid` for another name."""
    collection, slash, stated = name.partition("/")
    try:
        # UUID reads other spellings, too: a name has one.
        if collection + slash == COLLECTION and str(found := uuid.UUID(stated)) == stated:
            return found
    except ValueError:
        pass
    fault = f"is {name[:100]!r}, not the name of a record"
    raise Invalid([FieldFault("name", fault, f"{COLLECTION}7f9c24e8-3b12-4fef-91e0-56a2d5a5f4ab")])


def _filter(request: audit_pb2.ListRecordsRequest) -> RecordFilter:
    faults = Faults()
    for name, example in FILTERS.items():
        values = getattr(request, name)
        few = len(values) <= MOST_VALUES
        faults.unless(few, name, f"has {len(values)} values, at most {MOST_VALUES} are taken", example)
        for at, value in enumerate(values[:MOST_VALUES]):
            faults.text(f"{name}[{at}]", value, example, most=500)
    for at, outcome in enumerate(request.outcomes):
        known = outcome in OUTCOMES_FROM_WIRE
        faults.unless(known, f"outcomes[{at}]", f"is {outcome}, not an Outcome", "OUTCOME_FAILED")
    start, end = window_in(request, faults)
    faults.raise_any()
    return RecordFilter(
        actors=tuple(request.actors),
        methods=tuple(request.methods),
        resources=tuple(request.resources),
        addresses=tuple(request.addresses),
        outcomes=tuple(OUTCOMES_FROM_WIRE[outcome] for outcome in dict.fromkeys(request.outcomes)),
        start=start,
        end=end,
    )


def _record(record: Record) -> audit_pb2.Record:
    return audit_pb2.Record(
        name=f"{COLLECTION}{record.id}",
        time=timestamp(record.time),
        actor=record.actor,
        role=record.role,
        issuer=record.issuer,
        method=record.method,
        resource=record.resource,
        request_json=record.request_json,
        outcome=OUTCOMES[record.outcome],
        code=record.code,
        message=record.message,
        address=record.address,
        user_agent=record.user_agent,
        request_id=record.request_id,
        index=record.index,
        result=record.result,
        duration=duration(None if record.duration_ms is None else record.duration_ms / 1000),
    )
