"""Assigns new questions to the groups of the last analysis, until the next one groups all anew."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from services.embedder.insights.clusters import nearest_clusters
from services.embedder.insights.communities import Vectors
from services.embedder.insights.store_analysis import AnalysisStore, Centres
from services.embedder.insights.talk import is_talk
from services.embedder.pace import USUAL, Pace
from services.kernel.loops import Loop
from services.kernel.outages import DATABASE_ERRORS
from services.kernel.sessions import Sessions


@dataclass(frozen=True)
class Assigned:
    """The group of a question, if it has one; whether it is small talk; the nearest groups and cosines."""

    group: int | None
    talk: bool
    nearest: Sequence[tuple[int, float]]


class Assigning:
    """Assigns questions by the centroids of their groups, with the vectors of one model."""

    def __init__(self, sessions: Sessions, model: str, zone: str, pace: Pace = USUAL) -> None:
        self._sessions = sessions
        self._model = model
        self._zone = zone
        # Every replica tries; one at a time does it.
        self.following = Loop(
            "question_assigning",
            self.assign_new,
            every=pace.assign,
            outlives=DATABASE_ERRORS,
            failed="questions.assign_failed",
        )

    async def assign_new(self) -> int:
        """Assigns the questions that came since the last time. Returns how many."""
        async with self._sessions.transaction() as session:
            store = AnalysisStore(session, self._model)
            last = await store.last_write()
            # Looked at before anything is locked or read: mostly there is nothing new.
            if last <= await store.assigned_through():
                return 0
            centres = await store.centres() if await store.hold() else None
            if centres is None:
                return 0
            new = await store.new_questions(centres.through)
            found = await asyncio.to_thread(_assign_all, centres, new.texts, new.vectors)
            through = new.through if new.ids else last
            groups = [one.group for one in found]
            await store.assign(new, groups, [one.talk for one in found], through, self._zone)
            return len(new.ids)

    async def assign(self, question: str, vector: Vectors, most: int) -> Assigned:
        """Returns the group of one question, by its unit vector [1024], and the `most` nearest groups."""
        async with self._sessions.reading() as session:
            centres = await AnalysisStore(session, self._model).centres()
        if centres is None:
            return Assigned(None, is_talk(question), [])
        return await asyncio.to_thread(assigned, centres, question, vector, most)


def assigned(centres: Centres, question: str, vector: Vectors, most: int = 1) -> Assigned:
    """Returns the group of a question: the nearest one that it is near enough to."""
    if not len(centres.ids):
        return Assigned(None, is_talk(question), [])
    cosines = nearest_clusters(question, vector, centres.means, centres.centroids)
    order = np.argsort(-cosines, kind="stable")[:most]
    nearest = [(centres.ids[row], float(np.clip(cosines[row], -1, 1))) for row in order.tolist()]
    if is_talk(question):
        return Assigned(None, True, nearest)
    near_enough = cosines[order[0]] >= centres.least[order[0]]
    return Assigned(nearest[0][0] if near_enough else None, False, nearest)


def _assign_all(centres: Centres, questions: Sequence[str], vectors: Vectors) -> list[Assigned]:
    return [assigned(centres, one, vector) for one, vector in zip(questions, vectors, strict=True)]
