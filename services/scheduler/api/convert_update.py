"""Reads UpdateSchedule: which fields of a schedule change, and to what.

The mask names fields of the schedule, or fields within `task`, `timing` and `misfire_policy`. Without a mask,
the fields that are set in the request change, down to those within (AIP-134).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from celeriac.scheduler.v1 import schedules_pb2 as pb
from google.protobuf.field_mask_pb2 import FieldMask

from services.kernel.validation import Faults
from services.scheduler.api import convert
from services.scheduler.schedule.definition import Definition
from services.scheduler.schedule.reading import CHANGEABLE

# The fields whose own fields a mask may name.
WITHIN: Mapping[str, Sequence[str]] = {
    "task": [field.name for field in pb.TaskSpec.DESCRIPTOR.fields],
    "timing": [field.name for field in pb.Timing.DESCRIPTOR.fields],
    "misfire_policy": [field.name for field in pb.MisfirePolicy.DESCRIPTOR.fields],
}
KNOWN = (*CHANGEABLE, *(f"{outer}.{inner}" for outer, fields in WITHIN.items() for inner in fields))
# false, 0, "", [] and {} can't be told from a field that is not there.
NOTHING = (
    "has no value that can be changed; to set a field to false, 0 or nothing, name it in update_mask, and to"
    " pause a schedule, call PauseSchedule"
)


class Update(NamedTuple):
    """The paths that an update changes, and the new values of the fields that they name."""

    paths: Sequence[str]
    values: pb.Schedule

    @property
    def fields(self) -> list[str]:
        """The fields of the schedule that change, in whole or in part."""
        return list(dict.fromkeys(path.partition(".")[0] for path in self.paths))

    @property
    def parts(self) -> list[str]:
        """Those of them of which only a part changes."""
        return [field for field in self.fields if field not in self.paths]


def update_in(request: pb.UpdateScheduleRequest) -> Update:
    """Raises `Invalid` for a mask that names something that can't be changed, and for a change of nothing."""
    named, faults = list(request.update_mask.paths), Faults()
    if not named:
        found = _set_in(request.schedule)
        faults.unless(bool(found), "schedule", NOTHING, '{"description": "new questions become vectors"}')
        faults.raise_any()
        return Update(found, request.schedule)
    if named == ["*"]:
        return Update(CHANGEABLE, request.schedule)
    for path in named:
        fault = f'names {path[:100]!r}, not one of {", ".join(KNOWN)}, nor "*" alone'
        faults.unless(path in KNOWN, "update_mask", fault, "timing,task.queue")
    faults.raise_any()
    return Update(named, request.schedule)


def _set_in(schedule: pb.Schedule) -> list[str]:
    """Returns the paths of the fields that are set and can be changed."""
    paths = list[str]()
    for field, value in schedule.ListFields():
        if field.name in WITHIN:
            paths += [f"{field.name}.{inner.name}" for inner, _ in value.ListFields()]
        elif field.name in CHANGEABLE:
            paths.append(field.name)
    return paths


def updated(current: Definition, update: Update, zone: str, now: dt.datetime) -> Definition:
    """Returns the current definition with the update made. Raises `Invalid` if the result is not sound."""
    wanted, values = pb.Schedule(), pb.Schedule()
    values.CopyFrom(update.values)
    for field in update.parts:
        # Without this, a field within one that is not set at all would keep its value, and not be reset.
        getattr(values, field).SetInParent()
    FieldMask(paths=update.parts).MergeMessage(convert.definition_to(current), wanted)
    FieldMask(paths=update.paths).MergeMessage(values, wanted, True, True)
    if "misfire_policy.window" not in update.paths and "misfire_policy" in update.parts:
        _without_needless_window(wanted.misfire_policy)
    faults = Faults()
    result = convert.changed(current, wanted, update.fields, zone, now, faults)
    faults.raise_any()
    return result


def _without_needless_window(policy: pb.MisfirePolicy) -> None:
    """A policy that becomes SKIP has no window; one that was named beside it is refused later."""
    if policy.action == pb.MISFIRE_ACTION_SKIP:
        policy.ClearField("window")
