"""The SQL of lists of schedules: a page goes by an index, also that of a rare task, queue or label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ScheduleFilter:
    """Which schedules; empty and None match any. A label is (name, value)."""

    text: str = ""
    task: str = ""
    queue: str = ""
    paused: bool | None = None
    label: tuple[str, str] | None = None


def listing(wanted: ScheduleFilter, after: str, most: int) -> tuple[str, dict[str, Any]]:
    """The query, and its values, for whole rows with an id beyond `after`, by id.

    Task, queue and label are looked up among the facets, which are kept in the order of the list. As a facet
    is a hash, the rows are asked themselves, too.
    """
    facets: list[str] = []
    conditions = ["id > :after"]
    values: dict[str, Any] = {"after": after, "most": most}
    for name in ("task", "queue"):
        if value := getattr(wanted, name):
            facets.append(f"celery_schedule_facet('{name}', :{name})")
            conditions.append(f"{name} = :{name}")
            values[name] = value
    if wanted.label is not None:
        facets.append("celery_schedule_facet('label ' || CAST(:label AS text), :label_value)")
        conditions.append("labels ->> :label = :label_value")
        values["label"], values["label_value"] = wanted.label
    if wanted.paused is not None:
        conditions.append("paused = :paused")
        values["paused"] = wanted.paused
    if wanted.text:
        conditions.append("position(lower(:text) IN lower(id || ' ' || task || ' ' || description)) > 0")
        values["text"] = wanted.text
    source, order = (_with_facets(facets), "schedule_id") if facets else ("celery_schedules s", "id")
    query = f"SELECT s.* FROM {source} WHERE {' AND '.join(conditions)} ORDER BY {order} LIMIT :most"
    return query, values


def _with_facets(facets: list[str]) -> str:
    """The schedules that have all of these facets, beyond `:after`, by id.

    OFFSET 0 keeps the planner to this order, facets first and then row by row: by itself it takes schedules
    of a rare task to be found soon among all, or fetches all of a common one to sort them.
    """
    tables = ["celery_schedule_facets f0"]
    conditions = []
    for number, facet in enumerate(facets):
        conditions.append(f"f{number}.facet = {facet} AND f{number}.schedule_id > :after")
        if number > 0:
            tables.append(f"JOIN celery_schedule_facets f{number} USING (schedule_id)")
    found = (
        f"SELECT schedule_id FROM {' '.join(tables)} WHERE {' AND '.join(conditions)}"
        " ORDER BY schedule_id OFFSET 0"
    )
    row = "SELECT * FROM celery_schedules WHERE id = found.schedule_id OFFSET 0"
    return f"({found}) AS found, LATERAL ({row}) AS s"
