"""The servicer of ManifestService."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from celeriac.scheduler.v1 import manifests_pb2 as pb
from celeriac.scheduler.v1 import manifests_pb2_grpc

from services.kernel.grpc.enums import wire_values
from services.kernel.grpc.wire import Context, once_in
from services.kernel.validation import Faults
from services.scheduler.api.convert_filter import schedules_in
from services.scheduler.manifests.apply import Application, Sets
from services.scheduler.manifests.difference import MOST_TOLD, Change, Difference, Kind, cut
from services.scheduler.manifests.export import Exports
from services.scheduler.manifests.take_over import Dump
from services.scheduler.manifests.take_over_entry import Note, Weight
from services.scheduler.manifests.write import entries_text, said_by
from services.scheduler.schedule import checks

WEIGHTS = wire_values(pb.NotCarriedWeight, Weight)
KINDS = wire_values(pb.ChangeKind, Kind)
FORMATS = (pb.MANIFEST_FORMAT_UNSPECIFIED, pb.MANIFEST_FORMAT_YAML, pb.MANIFEST_FORMAT_JSON)


class ManifestApi(manifests_pb2_grpc.ManifestServiceServicer):
    def __init__(self, sets: Sets, exports: Exports) -> None:
        self._sets = sets
        self._exports = exports

    async def ApplySchedules(
        self, request: pb.ApplySchedulesRequest, context: Context
    ) -> pb.ApplySchedulesResponse:
        faults = Faults()
        label = request.prune_label
        prune = checks.label(label, faults, "prune_label") if label else None
        once = once_in(request, faults, "ApplySchedules")
        faults.raise_any()
        how = Application(request.validate_only, prune, request.etag, once)
        return pb.ApplySchedulesResponse(
            difference=pb.Difference.FromString(await self._sets.apply(request.manifest, how))
        )

    async def ExportSchedules(
        self, request: pb.ExportSchedulesRequest, context: Context
    ) -> pb.ExportSchedulesResponse:
        faults = Faults()
        wanted = schedules_in(request, faults)
        fault = f"is {request.format}, not a ManifestFormat"
        faults.unless(request.format in FORMATS, "format", fault, "MANIFEST_FORMAT_JSON")
        faults.raise_any()
        as_json = request.format == pb.MANIFEST_FORMAT_JSON
        manifest, count = await self._exports.export(wanted, as_json=as_json)
        return pb.ExportSchedulesResponse(manifest=manifest, count=count)

    async def ImportSchedules(
        self, request: pb.ImportSchedulesRequest, context: Context
    ) -> pb.ImportSchedulesResponse:
        faults = Faults()
        once = once_in(request, faults, "ImportSchedules")
        queue = request.default_queue
        queue = checks.queue(queue, faults, "default_queue") if queue else ""
        faults.raise_any()
        how = Application(request.validate_only, etag=request.etag, once=once)
        dump = Dump(request.dump, dict(request.labels), queue)
        imported, answer = await self._sets.take_over(dump, how)
        return pb.ImportSchedulesResponse(
            manifest=entries_text([said_by(each) for each in imported.wanted]),
            difference=pb.Difference.FromString(answer),
            not_carried=map(_note_to, imported.not_carried),
        )


def _note_to(note: Note) -> pb.NotCarried:
    return pb.NotCarried(entry=note.entry, field=note.field, reason=note.reason, weight=WEIGHTS[note.weight])


def difference_to(found: Difference) -> bytes:
    """Returns the message of a difference, written."""
    message = pb.Difference(
        changes=_changes_to(found.changes),
        create_count=len(found.of(Kind.CREATE)),
        change_count=len(found.of(Kind.CHANGE)),
        remove_count=len(found.of(Kind.REMOVE)),
        unchanged_count=found.unchanged,
        text=found.text,
        etag=found.etag,
    )
    return message.SerializeToString()


def _changes_to(changes: Sequence[Change]) -> Iterator[pb.ScheduleChange]:
    left = MOST_TOLD
    for change in changes:
        message = _change_to(change)
        left -= message.ByteSize()
        if left < 0:
            message.ClearField("fields")
        yield message


def _change_to(change: Change) -> pb.ScheduleChange:
    return pb.ScheduleChange(
        name=f"schedules/{change.id}",
        kind=KINDS[change.kind],
        fields=[
            pb.FieldChange(field=each.field, old_value=cut(each.old), new_value=cut(each.new))
            for each in change.fields
        ],
        warnings=change.warnings,
    )
