"""What is printed when the system is ready: how to look at it, and what runs next."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from zoneinfo import ZoneInfo

from celeriac.scheduler.v1 import schedules_pb2

from deploy.standalone.settings import StandaloneSettings
from deploy.standalone.shell_lines import to_copy

PAUSED_LAST = dt.datetime.max.replace(tzinfo=dt.UTC)


def how_to_look(settings: StandaloneSettings, make: str = "make") -> list[str]:
    """Returns lines to copy into a shell in the project's folder."""
    gateway = f"127.0.0.1:{settings.gateway_port}"
    ca = _shown(settings.state / "ca.pem")
    token = f"{make} -s token ROLE=admin{_named(settings)}"
    command = ".venv/bin/celeriac"
    return [
        "How to look, in another terminal (docs/command.md; with curl and grpcurl: docs/gateway.md):",
        f"  {to_copy(f'{token} | {command} login --target {gateway} --ca {ca}')}",
        f"  {command} status",
    ]


def what_looks_at_it(settings: StandaloneSettings) -> str:
    """Returns which commands show the running system, as they are typed in the project's folder."""
    named = _named(settings)
    return f"`make status{named}` and `make logs{named}` look at it"


def _named(settings: StandaloneSettings) -> str:
    """Returns how a command names the state folder; "" for the one that it takes by itself."""
    usual = settings.state == Path.cwd() / ".celeriac"
    return "" if usual else f" CELERIAC_STATE_DIR={_shown(settings.state)}"


def what_runs_next(schedules: list[schedules_pb2.Schedule], time_zone: str, now: dt.datetime) -> list[str]:
    """Returns one line for each schedule, by next due time, which is shown in the zone."""
    if not schedules:
        return ["Nothing is scheduled."]
    zone = ZoneInfo(time_zone)
    timed = [(_next_of(schedule), schedule) for schedule in schedules]
    timed.sort(key=lambda one: (one[0] or PAUSED_LAST, one[1].name))
    width = max(len(_id(schedule)) for _, schedule in timed)
    lines = [f"What runs next ({time_zone}, now {now.astimezone(zone):%Y-%m-%d %H:%M}):"]
    for at, schedule in timed:
        when = f"{at.astimezone(zone):%Y-%m-%d %H:%M}  in {_span(at - now)}" if at else "paused"
        lines.append(f"  {_id(schedule):<{width}}  {when}")
    return lines


def _id(schedule: schedules_pb2.Schedule) -> str:
    return schedule.name.removeprefix("schedules/")


def _next_of(schedule: schedules_pb2.Schedule) -> dt.datetime | None:
    if not schedule.HasField("next_run_time"):
        return None
    return schedule.next_run_time.ToDatetime(dt.UTC)


def _span(span: dt.timedelta) -> str:
    minutes = max(0, round(span.total_seconds() / 60))
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def _shown(path: Path) -> str:
    """Returns the path relative to the current folder if it is below that, else the whole path."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative
