"""The servicer of ManifestService."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from celeriac.scheduler.v1 import manifests_pb2 as pb
from celeriac.scheduler.v1 import manifests_pb2_grpc

from services.kernel.grpc.enums import wire_values
from services.kernel.grpc.wire import Context
from services.kernel.validation import Faults
from services.scheduler.catalogue.store_listing import ScheduleFilter
from services.scheduler.manifests.apply import Application, Sets
from services.scheduler.manifests.difference import MOST_TOLD, Change, Difference, Kind, cut
from services.scheduler.manifests.export import Exports
from services.scheduler.manifests.write import entries_text, said_by
from services.scheduler.schedule import checks

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
        prune = checks.label(request.prune_label, faults, "prune_label")
        faults.raise_any()
        how = Application(request.validate_only, prune, request.etag)
        return pb.ApplySchedulesResponse(
            difference=_difference_to(await self._sets.apply(request.manifest, how))
        )

    async def ExportSchedules(
        self, request: pb.ExportSchedulesRequest, context: Context
    ) -> pb.ExportSchedulesResponse:
        wanted = _filter(request)
        as_json = request.format == pb.MANIFEST_FORMAT_JSON
        manifest, count = await self._exports.export(wanted, as_json=as_json)
        return pb.ExportSchedulesResponse(manifest=manifest, count=count)

    async def ImportSchedules(
        self, request: pb.ImportSchedulesRequest, context: Context
    ) -> pb.ImportSchedulesResponse:
        how = Application(request.validate_only, etag=request.etag)
        imported, made = await self._sets.take_over(request.dump, dict(request.labels), how)
        return pb.ImportSchedulesResponse(
            manifest=entries_text([said_by(each) for each in imported.wanted]),
            difference=_difference_to(made),
            not_carried=[pb.NotCarried(**note._asdict()) for note in imported.not_carried],
        )


def _filter(request: pb.ExportSchedulesRequest) -> ScheduleFilter:
    faults = Faults()
    for name, example in {"task": "rebuild_chat_vectors", "queue": "ai_analysis"}.items():
        faults.text(name, getattr(request, name), example, most=500, required=False)
    fault = f"is {request.format}, not a ManifestFormat"
    faults.unless(request.format in FORMATS, "format", fault, "MANIFEST_FORMAT_JSON")
    label = checks.label(request.label, faults, "label")
    faults.raise_any()
    return ScheduleFilter(task=request.task, queue=request.queue, label=label)


def _difference_to(found: Difference) -> pb.Difference:
    return pb.Difference(
        changes=_changes_to(found.changes),
        create_count=len(found.of(Kind.CREATE)),
        change_count=len(found.of(Kind.CHANGE)),
        remove_count=len(found.of(Kind.REMOVE)),
        unchanged_count=found.unchanged,
        text=found.text,
        etag=found.etag,
    )


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
