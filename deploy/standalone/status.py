"""`make status`: each component by the supervisor's record, and by a probe of the component itself."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import psutil

from deploy.standalone import probes, system
from deploy.standalone.child import told
from deploy.standalone.component import Component
from deploy.standalone.lock import holder
from deploy.standalone.record import ProcessRecord, SystemRecord, process_of
from deploy.standalone.settings import StandaloneSettings

HEADINGS = ("component", "state", "health", "pid", "uptime", "restarts", "last exit", "memory")


@dataclass(frozen=True)
class Line:
    """One component; `fault` is None when it is well."""

    name: str
    record: ProcessRecord
    fault: str | None
    memory_bytes: int | None


def status(settings: StandaloneSettings) -> int:
    """Prints the table. Returns the exit code: 0 only if every component is healthy, 3 if nothing runs."""
    record = SystemRecord.read(settings.run)
    if holder(settings.run) is None or record is None:
        print(f"nothing runs in {settings.state}; `make up` starts it")
        return 3
    # The ports of the running system: this shell's setting may be another.
    running = settings.model_copy(update={"gateway_port": record.gateway_port})
    lines = asyncio.run(_look(system.components(running), record))
    healthy = record.phase == "ready" and all(line.fault is None for line in lines)
    print(f"{record.phase}: https://127.0.0.1:{record.gateway_port}, state in {settings.state}")
    for row in table([HEADINGS, *(_cells(line) for line in lines)]):
        print(row)
    return 0 if healthy else 1


async def _look(components: list[Component], record: SystemRecord) -> list[Line]:
    found = [record.processes.get(component.name, ProcessRecord()) for component in components]
    faults = await asyncio.gather(*map(_fault_of, components, found))
    return [
        Line(component.name, one, fault, _memory_of(one))
        for component, one, fault in zip(components, found, faults, strict=True)
    ]


async def _fault_of(component: Component, record: ProcessRecord) -> str | None:
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


def table(rows: list[tuple[str, ...]]) -> list[str]:
    """Rows as lines, each column as wide as its widest cell."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


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
