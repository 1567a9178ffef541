"""What mends what the monitor knows, where events were missed or none tells of an end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.kernel.loops import Background
from services.monitor.gaps.broker_lives import BrokerLives
from services.monitor.gaps.collecting import Collecting
from services.monitor.gaps.gaps import Gaps
from services.monitor.gaps.orphans import Orphans
from services.monitor.gaps.places import TaskPlaces
from services.monitor.gaps.recording import GapRecorder
from services.monitor.gaps.repairing import GapRepair
from services.monitor.gaps.stored_ends import StoredEnds
from services.monitor.gaps.unheard_ends import UnheardEnds
from services.monitor.gaps.waiting import WaitingTasks
from services.monitor.serving.ground import Ground
from services.monitor.serving.hearing import Hearing
from services.monitor.serving.steering import Steering
from services.monitor.workers.deletions import Deletions


@dataclass(frozen=True)
class Mending:
    lives: BrokerLives
    gaps: Gaps
    orphans: Orphans
    deletions: Deletions
    collecting: Collecting
    unheard: UnheardEnds
    stored: StoredEnds | None

    @property
    def background(self) -> Sequence[Background]:
        return [
            self.unheard.loop,
            *([self.stored.loop] if self.stored else []),
            self.orphans.loop,
            self.deletions.loop,
            self.gaps,
            self.collecting.loop,
        ]


async def mending_on(ground: Ground, hearing: Hearing, steering: Steering) -> Mending:
    database, workers, pace = ground.database, ground.workers, ground.pace
    intake, control, backend = hearing.intake, steering.control, ground.results.backend
    waiting = WaitingTasks(ground.client, ground.settings.layout, ground.queues)
    places = TaskPlaces(waiting, control, workers, intake)
    lives = BrokerLives(ground.client, ground.settings.key_prefix, database)
    repair = GapRepair(database, intake, backend, places, workers, lives, pace)
    hearing.comings.on_gone.append(repair.worker_left)
    collecting = Collecting(database, intake, ground.figures, repair.woken.set, pace)
    await collecting.look()
    return Mending(
        lives,
        Gaps(GapRecorder(database, intake, ground.figures, repair.woken.set, pace), repair),
        Orphans(database, intake, places, workers, backend, lambda: bool(repair.open), pace),
        Deletions(database, workers, pace, repair.worker_left),
        collecting,
        UnheardEnds(database, intake, control, workers, backend, pace),
        StoredEnds(database, intake, backend, pace) if backend else None,
    )
