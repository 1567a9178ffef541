"""Finds the workflow of a task: in the table of tasks, and in what the result backend stores of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from services.monitor.tasks.store_listing import members
from services.monitor.tasks.store_lists import Lists
from services.monitor.tasks.store_tasks import TaskStore
from services.monitor.tasks.stored_meta import NOTHING, StoredMeta, StoredMetas
from services.monitor.tasks.tasks import Task
from services.monitor.tasks.workflow import Member, Workflow, ancestors, edges_of, groups_of, siblings

MOST = 1_000
# Callers of the task that are looked for where the workflow has more tasks than are told.
MOST_CALLERS = 50
MOST_GROUPS = 100


class Workflows:
    """`metas`: what the result backend stores; None: it is not read."""

    def __init__(self, lists: Lists, metas: StoredMetas | None) -> None:
        self._lists = lists
        self._metas = metas

    async def of(self, task_id: str) -> Workflow:
        """Returns the workflow that the task belongs to, `MOST` tasks of it at most. Raises `NotFound`."""
        root, heard, truncated = await self._heard(task_id)
        metas = await self._stored(heard)
        named = await self._named(heard, metas or {})
        truncated = truncated or len(heard) + len(named) > MOST
        others = named[: MOST - len(heard)]
        heard |= await self._several(others)
        metas_of_others = await self._stored(others)
        results_read = metas is not None and metas_of_others is not None
        stored = {**(metas or {}), **(metas_of_others or {})}
        ids = list(dict.fromkeys((*heard, *others)))
        known = set(ids)
        edges = [pair for pair in edges_of(heard.values(), stored) if known.issuperset(pair)]
        saved = await self._saved(stored)
        saved = {group: [each for each in every if each in known] for group, every in saved.items()}
        groups = groups_of(stored, saved, edges)
        return Workflow(
            root,
            [_member(each, heard.get(each), stored.get(each, NOTHING)) for each in ids],
            edges,
            groups,
            ancestors(task_id, edges),
            [child for caller, child in edges if caller == task_id],
            siblings(task_id, edges, groups),
            truncated,
            results_read,
        )

    async def _heard(self, task_id: str) -> tuple[str, dict[str, Task], bool]:
        """Returns the id of the first task, the tasks that have it, the oldest first, and whether that is not
        all of them. The task that is asked for and its callers are there in any case."""
        async with self._lists.reading() as session:
            store = TaskStore(session)
            asked = await store.get(task_id)
            root = asked.root_id or asked.id
            found = await store.found_by(members(root, MOST + 1))
            own = await _with_callers(store, asked, {task.id: task for task in found})
        for task in found:
            if len(own) < MOST:
                own.setdefault(task.id, task)
        oldest_first = sorted(own.values(), key=lambda task: (task.heard_at, task.id))
        return root, {task.id: task for task in oldest_first}, len(found) > MOST

    async def _named(self, heard: Mapping[str, Task], metas: Mapping[str, StoredMeta]) -> list[str]:
        """Returns the ids of further tasks that the backend names: as called, or as of the same group."""
        named = [child for meta in metas.values() for child in meta.children]
        named += [task_id for ids in (await self._saved(metas)).values() for task_id in ids]
        return [task_id for task_id in dict.fromkeys(named) if task_id not in heard]

    async def _several(self, task_ids: Sequence[str]) -> dict[str, Task]:
        if not task_ids:
            return {}
        async with self._lists.reading() as session:
            return {task.id: task for task in await TaskStore(session).get_several(task_ids)}

    async def _stored(self, task_ids: Iterable[str]) -> Mapping[str, StoredMeta] | None:
        """Returns what is stored of the tasks; None if the backend was not read."""
        return None if self._metas is None else await self._metas.of_many(list(task_ids))

    async def _saved(self, metas: Mapping[str, StoredMeta]) -> Mapping[str, Sequence[str]]:
        groups = list(dict.fromkeys(meta.group_id for meta in metas.values() if meta.group_id))
        return {} if self._metas is None else await self._metas.members_of(groups[:MOST_GROUPS])


async def _with_callers(store: TaskStore, asked: Task, found: Mapping[str, Task]) -> dict[str, Task]:
    """Returns the task, and those that it was called from, by their ids."""
    own = {asked.id: asked}
    caller = asked.parent_id
    while caller and caller not in own and len(own) <= MOST_CALLERS:
        task = found.get(caller) or await store.find(caller)
        if task is None:
            break
        own[task.id] = task
        caller = task.parent_id
    return own


def _member(task_id: str, task: Task | None, meta: StoredMeta) -> Member:
    return Member(task_id, task, meta.group_id, meta.state)
