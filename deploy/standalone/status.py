"""`make status`: each component, by the supervisor's record and by a probe of its own; then what goes on."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import psutil

from deploy.standalone import browser, probes, system
from deploy.standalone.child import told
from deploy.standalone.component import Component
from deploy.standalone.glance import glance
from deploy.standalone.guide import how_to_look
from deploy.standalone.lock import holder
from deploy.standalone.record import ProcessRecord, SystemRecord, process_of
from deploy.standalone.servers import as_running
from deploy.standalone.settings import StandaloneSettings
from deploy.standalone.tables import table

HEADINGS = ("component", "state", "health", "pid", "uptime", "restarts", "last exit", "memory")


@dataclass(frozen=True)
class Line:
    """One component; `fault` is None when it is well."""

    name: str
    record: ProcessRecord
    fault: str | None
    memory_bytes: int | None


def status(settings: StandaloneSettings) -> int:
    """Prints the components, what goes on, and how to look again.

    Returns the exit code: 0 only if every component is healthy, 3 if nothing runs.
    """
    record = SystemRecord.read(settings.run)
    if holder(settings.run) is None or record is None:
        print(f"nothing runs in {settings.state}; `make up` starts it")
        return 3
    # The ports and servers of the running system: this shell's settings may be others.
    running = as_running(settings).model_copy(update={"gateway_port": record.gateway_port})
    lines, goes_on = asyncio.run(_look(running, record))
    healthy = record.phase == "ready" and all(line.fault is None for line in lines)
    print(f"{record.phase}: https://127.0.0.1:{record.gateway_port}, state in {settings.state}")
    for row in table([HEADINGS, *(_cells(line) for line in lines)]):
        print(row)
    for text in [*goes_on, "", *browser.how_to_open(browser.new_link(running)), *how_to_look(running)]:
        print(text)
    return 0 if healthy else 1


async def _look(settings: StandaloneSettings, record: SystemRecord) -> tuple[list[Line], list[str]]:
    components = system.components(settings)
    found = [record.processes.get(component.name, ProcessRecord()) for component in components]
    faults = await asyncio.gather(*map(_fault_of, components, found))
    lines = [
        Line(component.name, one, fault, _memory_of(one))
        for component, one, fault in zip(components, found, faults, strict=True)
    ]
    [gateway] = [line for line in lines if line.name == "gateway"]
    if gateway.fault is not None:
        return lines, ["", "Queues, tasks and schedules are not known: the gateway can't be asked."]
    return lines, await glance(settings)


async def _fault_of(component: Component, record: ProcessRecord) -> str | None:
    if record.state == "held":
        return "held: the system is shut down; POST /celery-admin/system/start"
    if process_of(record) is None:
        return "not running"
    return await probes.ask(component.probe)


def _cells(line: Line) -> tuple[str, ...]:
    record = line.record
    uptime = _span(time.time() - record.created_at) if record.created_at else "-"
    return (
        line.name,
        record.state,
        line.fault or "healthy",
        str(record.pid or "-"),
        uptime,
        str(record.restarts),
        "-" if record.last_exit is None else told(record.last_exit),
        f"{line.memory_bytes / 1_000_000:.0f} MB" if line.memory_bytes else "-",
    )


def _span(seconds: float) -> str:
    minutes, rest = divmod(int(max(0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def _memory_of(record: ProcessRecord) -> int | None:
    """Returns the memory of the process and its children in bytes; None if it does not run.

    On Linux, memory that they share is counted once.
    """
    process = process_of(record)
    if process is None:
        return None
    total = 0
    for one in [process, *process.children(recursive=True)]:
        try:
            full = one.memory_full_info()
            total += getattr(full, "pss", full.rss)
        except psutil.Error:
            continue
    return total
