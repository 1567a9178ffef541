"""`run/system.json`: what the supervisor knows of its processes, for `make status` and the next start."""

from __future__ import annotations

import contextlib
import json
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path

import psutil

END_SECONDS = 15.0


@dataclass
class ProcessRecord:
    """One component's process. Times are seconds since 1970."""

    state: str = "waiting"  # starting, running, restarting, held, stopping, stopped
    pid: int | None = None
    # The start of the process by the operating system: it shows whether the pid is now another process's.
    created_at: float | None = None
    restarts: int = 0
    last_exit: int | None = None
    detail: str = ""


@dataclass
class SystemRecord:
    """The whole system, as of the last change."""

    supervisor_pid: int
    gateway_port: int
    phase: str = "starting"  # ready, stopping
    processes: dict[str, ProcessRecord] = field(default_factory=dict)

    def write(self, run: Path) -> None:
        scratch = run / "system.json.new"
        scratch.write_text(json.dumps(asdict(self), indent=1))
        scratch.replace(run / "system.json")

    @staticmethod
    def read(run: Path) -> SystemRecord | None:
        """Returns the record; None when there is none, or none that can be read."""
        try:
            found = json.loads((run / "system.json").read_text())
        except (OSError, ValueError):
            return None
        processes = found.get("processes") if isinstance(found, dict) else None
        if not isinstance(processes, dict) or not all(map(_is_process, processes.values())):
            return None
        if not _fits(found, SystemRecord):
            return None
        return SystemRecord(
            **{**found, "processes": {name: ProcessRecord(**one) for name, one in processes.items()}}
        )


def _is_process(found: object) -> bool:
    return isinstance(found, dict) and _fits(found, ProcessRecord)


def _fits(found: dict[str, object], kind: type[ProcessRecord | SystemRecord]) -> bool:
    """Whether the record has the fields of the class: all required ones, and no others."""
    known = {each.name: each.default is MISSING and each.default_factory is MISSING for each in fields(kind)}
    return found.keys() <= known.keys() and all(name in found for name, must in known.items() if must)


def created_at(pid: int) -> float | None:
    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return None


def process_of(record: ProcessRecord) -> psutil.Process | None:
    """Returns the recorded process; None if it has ended, also if its pid is now another process's."""
    if record.pid is None:
        return None
    try:
        process = psutil.Process(record.pid)
        alive = process.status() != psutil.STATUS_ZOMBIE
        return process if alive and process.create_time() == record.created_at else None
    except psutil.Error:
        return None


def end_leftovers(run: Path) -> list[str]:
    """Ends what a killed supervisor left running; returns the names. The caller must hold the lock."""
    record = SystemRecord.read(run)
    left = (
        {name: found for name, one in record.processes.items() if (found := process_of(one))}
        if record
        else {}
    )
    family = [child for process in left.values() for child in _children(process)]
    for process in left.values():
        with contextlib.suppress(psutil.Error):
            process.terminate()
    _, stubborn = psutil.wait_procs([*left.values(), *family], END_SECONDS)
    for process in stubborn:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(stubborn, END_SECONDS)
    return sorted(left)


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []
