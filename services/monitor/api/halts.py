"""Drain, Resume, Shutdown, Restart and Start of SystemService."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from celeriac.monitor.v1 import system_pb2 as pb
from celeriac.operations.v1 import operations_pb2

from services.kernel.durations import span_in
from services.kernel.grpc.operations import operation_to
from services.kernel.grpc.wire import timestamp
from services.kernel.identity import current_subject
from services.kernel.sessions import Sessions
from services.kernel.stored_operations import OperationStore
from services.kernel.validation import Faults
from services.monitor.api.convert import reply_to, worker_name
from services.monitor.halting.halt import Concerned, Halt
from services.monitor.halting.halting import Halting
from services.monitor.halting.working import WOULD_IDLE, Working

USUAL_DRAIN, USUAL_RESTART = dt.timedelta(minutes=10), dt.timedelta(minutes=5)
LEAST, MOST = dt.timedelta(seconds=1), dt.timedelta(hours=24)
HERE = (
    "the workers that `make up` runs on this machine stay ended until Start or the next `make up`; whether"
    " another supervisor (systemd, Kubernetes) starts its workers again is not known here: such a worker is"
    " told to consume nothing"
)
ELSEWHERE = (
    "whether a supervisor (systemd, Kubernetes) starts workers again is not known here: such a worker is told"
    " to consume nothing"
)
RESTARTED = (
    "a worker is started again by what supervises it, which is not known here; one that is not back in time"
    " stops the operation (NOT_BACK), and the workers after it are left as they are"
)


class Halts:
    """The calls, in messages of the contract."""

    def __init__(self, halting: Halting, working: Working, sessions: Sessions) -> None:
        self._halting = halting
        self._working = working
        self._sessions = sessions

    async def drain(self, request: pb.DrainRequest) -> pb.DrainResponse:
        seconds = _seconds_in(request, "timeout", USUAL_DRAIN)
        concerned = await self._working.concerned()
        answer = pb.DrainResponse(workers=map(_concerned_to, concerned))
        if not request.validate_only:
            operation, replies = await self._working.drain(current_subject(), seconds)
            answer.operation.CopyFrom(await self._operation(operation))
            answer.replies.extend(map(reply_to, replies))
        answer.intake.CopyFrom(await self._intake())
        return answer

    async def resume(self) -> pb.ResumeResponse:
        replies = await self._halting.go_on(after_shutdown=False)
        return pb.ResumeResponse(intake=await self._intake(), replies=map(reply_to, replies))

    async def shut_down(self, request: pb.ShutdownRequest) -> pb.ShutdownResponse:
        seconds = _seconds_in(request, "timeout", USUAL_DRAIN)
        concerned = await self._working.concerned()
        note = HERE if self._halting.mark.used else ELSEWHERE
        answer = pb.ShutdownResponse(workers=map(_concerned_to, concerned), note=note)
        if not request.validate_only:
            operation = await self._working.shut_down(current_subject(), seconds)
            answer.operation.CopyFrom(await self._operation(operation))
        answer.intake.CopyFrom(await self._intake())
        return answer

    async def restart(self, request: pb.RestartRequest) -> pb.RestartResponse:
        seconds = _seconds_in(request, "worker_timeout", USUAL_RESTART)
        await self._halting.refuse_stopped(WOULD_IDLE)
        concerned: Sequence[Concerned] = await self._working.concerned(online_only=True)
        answer = pb.RestartResponse(workers=map(_concerned_to, concerned), note=RESTARTED)
        if not request.validate_only:
            operation = await self._working.restart(current_subject(), seconds)
            answer.operation.CopyFrom(await self._operation(operation))
        return answer

    async def start(self) -> pb.SystemServiceStartResponse:
        replies = await self._halting.go_on(after_shutdown=True)
        return pb.SystemServiceStartResponse(intake=await self._intake(), replies=map(reply_to, replies))

    async def _operation(self, operation_id: str) -> operations_pb2.Operation:
        async with self._sessions.reading() as session:
            return operation_to(await OperationStore(session).get(operation_id))

    async def _intake(self) -> pb.TaskIntake:
        return _intake_to(await self._halting.state())


def _intake_to(halt: Halt) -> pb.TaskIntake:
    return pb.TaskIntake(
        running=not halt.holds,
        stop_time=timestamp(halt.stopped_at),
        stopped_by=halt.stopped_by,
        shut_down=halt.shut_down,
        scheduler_told=halt.scheduler_told,
    )


def _concerned_to(concerned: Concerned) -> pb.ConcernedWorker:
    return pb.ConcernedWorker(worker=worker_name(concerned.worker), task_count=concerned.tasks)


def _seconds_in(
    request: pb.DrainRequest | pb.ShutdownRequest | pb.RestartRequest, name: str, usual: dt.timedelta
) -> float:
    """Raises `Invalid`."""
    faults = Faults()
    found = span_in(request, name, faults, example="600s")
    span = usual if found is None else found
    fault = f"is {span.total_seconds():g} s, it must be 1 s to 24 hours"
    faults.unless(LEAST <= span <= MOST, name, fault, "600s")
    faults.raise_any()
    return span.total_seconds()
