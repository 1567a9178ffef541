"""What a schedule was, from when until when, and who changed it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from services.scheduler.timing.plan import Plan

# What a change of these columns is called in the contract. Others are called there as they are here.
FIELDS = {
    "task": "task.task_name",
    "crontab": "timing.crontab",
    "interval_seconds": "timing.interval",
    "anchor": "timing.interval",
    "once_at": "timing.once",
    "solar_event": "timing.solar",
    "latitude": "timing.solar",
    "longitude": "timing.solar",
    "time_zone": "timing.time_zone",
    "start_at": "start_time",
    "end_at": "end_time",
    "jitter_seconds": "jitter",
    "misfire": "misfire_policy",
    "misfire_window_seconds": "misfire_policy",
    "overlap": "overlap_policy",
    **{
        column: f"task.{column}"
        for column in (
            *("args_json", "kwargs_json", "queue", "priority", "expires"),
            *("soft_time_limit", "time_limit", "headers"),
        )
    },
}
# Beside the timing, what sets due times anew when it is changed.
RETIMING = {"start_time", "end_time", "max_runs", "paused"}


class EditKind(Enum):
    CREATED = "created"
    UPDATED = "updated"
    PAUSED = "paused"
    RESUMED = "resumed"


@dataclass(frozen=True)
class Revision:
    """What a schedule was from `since` until `until` (None: until now)."""

    since: dt.datetime
    until: dt.datetime | None
    # None: what it was before is not known, as the schedule is older than its history.
    kind: EditKind | None
    # Empty: somebody, by SQL.
    actor: str
    # The fields of the contract that were changed.
    fields: Sequence[str]
    # None: it could not be read, and `fault` says why.
    plan: Plan | None
    fault: str
    paused: bool
    pause_note: str
    queue: str

    @property
    def retimes(self) -> bool:
        """Whether the change set due times anew (see `due_after_change` in catalogue/catalogue.py)."""
        return any(field.startswith("timing.") or field in RETIMING for field in self.fields)

    @property
    def by(self) -> str:
        return self.actor or "somebody, by SQL"


@dataclass(frozen=True)
class History:
    """The revisions of a schedule, the newest first."""

    revisions: Sequence[Revision]

    def at(self, moment: dt.datetime) -> Revision | None:
        """Returns the revision that held at a moment; None if it is not known."""
        return next((each for each in self.revisions if each.since <= moment), None)

    def pause_of(self, revision: Revision) -> Revision:
        """Returns the revision with which the pause began in which the given one is."""
        found = revision
        for each in self.revisions:
            if each.since <= revision.since:
                if not each.paused:
                    break
                found = each
        return found

    @property
    def known_from(self) -> dt.datetime | None:
        return self.revisions[-1].since if self.revisions else None
