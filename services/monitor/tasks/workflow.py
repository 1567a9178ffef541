"""A workflow: the tasks that a task has called, those that these have called, and so on, as a graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from services.monitor.tasks.stored_meta import StoredMeta
from services.monitor.tasks.tasks import Task


@dataclass(frozen=True)
class Member:
    """`task`: None if nothing was ever heard of it, and only the result backend names it."""

    id: str
    task: Task | None
    group_id: str
    stored_state: str


@dataclass(frozen=True)
class Workflow:
    """`edges`: pairs of ids, the caller first. `parents`: of the task that was asked for, the nearest first.

    `results_read`: whether the backend was read, which alone knows groups.
    """

    root: str
    members: Sequence[Member]
    edges: Sequence[tuple[str, str]]
    groups: Mapping[str, Sequence[str]]
    parents: Sequence[str]
    children: Sequence[str]
    siblings: Sequence[str]
    truncated: bool
    results_read: bool


def edges_of(tasks: Iterable[Task], metas: Mapping[str, StoredMeta]) -> dict[tuple[str, str], None]:
    """Returns who called whom, each pair once: as events of the called tell it, and results of callers."""
    told = {(task.parent_id, task.id): None for task in tasks if task.parent_id}
    stored = {(caller, child): None for caller, meta in metas.items() for child in meta.children}
    return told | stored


def groups_of(
    metas: Mapping[str, StoredMeta],
    saved: Mapping[str, Sequence[str]],
    edges: Iterable[tuple[str, str]],
) -> dict[str, list[str]]:
    """Returns the ids of the tasks of each group, in the order of the alphabet.

    Of a chord, Celery stores the group with the body, too, which one of the group's tasks has called.
    """
    groups: dict[str, set[str]] = {group_id: set(ids) for group_id, ids in saved.items()}
    for task_id, meta in metas.items():
        if meta.group_id:
            groups.setdefault(meta.group_id, set()).add(task_id)
    for caller, called in edges:
        for ids in groups.values():
            if caller in ids:
                ids.discard(called)
    return {group_id: sorted(ids) for group_id, ids in sorted(groups.items())}


def ancestors(task_id: str, edges: Iterable[tuple[str, str]]) -> list[str]:
    """Returns the callers of a task, the nearest first; a circle, which anybody can write, ends there."""
    caller_of = {child: caller for caller, child in edges}
    found: dict[str, None] = {}
    at = caller_of.get(task_id, "")
    while at and at != task_id and at not in found:
        found[at] = None
        at = caller_of.get(at, "")
    return list(found)


def siblings(
    task_id: str, edges: Iterable[tuple[str, str]], groups: Mapping[str, Sequence[str]]
) -> list[str]:
    """Returns the other tasks that were called from the same task, or in the same group."""
    pairs = list(edges)
    callers = {caller for caller, child in pairs if child == task_id}
    found = {child: None for caller, child in pairs if caller in callers}
    for ids in groups.values():
        if task_id in ids:
            found |= dict.fromkeys(ids)
    found.pop(task_id, None)
    return list(found)
