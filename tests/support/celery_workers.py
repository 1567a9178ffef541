"""A plain Celery application, and workers of it as real processes: python -m tests.support.celery_workers

The worker reads where its broker is (REDIS_HOST, REDIS_PORT), which queues it consumes (WORKER_QUEUES) and
its name (WORKER_NAME) from the environment, and a prefix of keys (WORKER_KEY_PREFIX) if there is one.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import redis
from celery import Celery, Task, chain, chord, group
from celery.exceptions import Ignore, Reject

from tests.support import forked
from tests.support.forked import Process
from tests.support.kept_logs import keep_under
from tests.support.servers import Valkey

# Also where both cores have much else to do: a start takes a second when they have not.
READY_SECONDS = 120.0
STOP_SECONDS = 20.0
# Where the task note_late leaves its notes.
NOTES, NOTES_KEY = 5, "ran"


def celery_app(host: str, port: int, prefix: str = "", *, extended: bool = False) -> Celery:
    """The application: JSON only, with task-sent events.

    `prefix`: its `global_keyprefix`; `extended`: its `result_extended`.
    """
    app = Celery("plain", broker=f"redis://{host}:{port}/0", backend=f"redis://{host}:{port}/1")
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        result_serializer="json",
        worker_send_task_events=False,
        task_send_sent_event=True,
        task_track_started=True,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        worker_prefetch_multiplier=1,
        result_extended=extended,
        # Settings of the application's own, with secrets in them.
        application_note="see redis://app:hunter2@db:6379/0",
        billing={"secret": "hunter2", "pwd": "hunter2", "retries": 3},
    )
    if prefix:
        app.conf.broker_transport_options = {"global_keyprefix": prefix}
        app.conf.result_backend_transport_options = {"global_keyprefix": prefix}

    @app.task(name="add")
    def add(x: int, y: int) -> int:
        return x + y

    @app.task(name="fail")
    def fail(message: str) -> None:
        raise ValueError(message)

    @app.task(name="echo")
    def echo(*args: object, **kwargs: object) -> dict[str, object]:
        return {"args": args, **kwargs}

    @app.task(name="retry_then_succeed", bind=True, max_retries=5)
    def retry_then_succeed(self: Task[..., str], times: int) -> str:
        if self.request.retries < times:
            raise self.retry(countdown=0, exc=ValueError(f"try {self.request.retries}"))
        return "at last"

    @app.task(name="refuse", acks_late=True)
    def refuse() -> None:
        raise Reject("not mine", requeue=False)

    @app.task(name="refuse_early")
    def refuse_early() -> None:
        raise Reject("not mine", requeue=False)

    @app.task(name="put_back", bind=True, acks_late=True)
    def put_back(self: Task[..., str]) -> str:
        delivery = self.request.delivery_info
        if delivery is None or not delivery["redelivered"]:
            raise Reject("later", requeue=True)
        return "at last"

    @app.task(name="put_back_early")
    def put_back_early() -> None:
        raise Reject("later", requeue=True)

    @app.task(name="ignore")
    def ignore() -> None:
        raise Ignore

    @app.task(name="spawn")
    def spawn() -> str:
        return str(add.delay(1, 2).id)

    @app.task(name="fan_out")
    def fan_out(count: int) -> str:
        return str(group(add.si(number, number) for number in range(count)).delay().id)

    @app.task(name="line_up")
    def line_up(count: int) -> str:
        """Returns the id of the last one."""
        return str(chain(*(add.si(number, number) for number in range(count))).delay().id)

    @app.task(name="sum_up")
    def sum_up(numbers: list[int]) -> int:
        return sum(numbers)

    @app.task(name="gather")
    def gather(count: int) -> str:
        """Returns the id of the chord's body."""
        return str(chord([add.si(number, number) for number in range(count)], sum_up.s()).delay().id)

    @app.task(name="note_late", bind=True, acks_late=True)
    def note_late(self: Task[..., None], seconds: float) -> None:
        """Leaves a note of each run, in a list of a database of its own."""
        time.sleep(seconds)
        with redis.Redis(host, port, NOTES) as client:
            client.rpush(NOTES_KEY, str(self.request.id))

    @app.task(name="die")
    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    @app.task(name="tell", bind=True)
    def tell(self: Task[..., float], seconds: float) -> float:
        """By an event, and by a stored state, which sends none."""
        self.send_event("task-halfway-there", done=50)
        self.update_state(state="PROGRESS", meta={"done": 50})
        time.sleep(seconds)
        return seconds

    @app.task(name="sleep")
    def sleep(seconds: float) -> float:
        time.sleep(seconds)
        return seconds

    @app.task(name="hold")
    def hold(gate: str) -> str:
        """Runs until there is a file of that name, for a moment that a test chooses."""
        while not Path(gate).exists():
            time.sleep(0.02)
        return "let go"

    @app.task(name="sleep_late", acks_late=True)
    def sleep_late(seconds: float) -> float:
        time.sleep(seconds)
        return seconds

    return app


@dataclass
class Worker:
    """A running worker. `name` is its Celery node name, "plain@host"."""

    name: str
    process: Process
    log_file: Path

    def log(self) -> str:
        return self.log_file.read_text()

    def stop(self) -> None:
        """Warm: running tasks finish, and it says farewell; cold if that takes too long."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """With its pool, and without a word."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextlib.contextmanager
def running_worker(
    valkey: Valkey,
    folder: Path,
    *,
    queues: str = "celery",
    name: str = "plain@test",
    concurrency: int = 1,
    pool: str = "prefork",
    options: Sequence[str] = ("--events",),
    mingle: bool = False,
    prefix: str = "",
    extended: bool = False,
    restarts: bool = False,
    visibility: int = 3600,
) -> Iterator[Worker]:
    """Starts a worker, waits until it answers, and stops it at the end.

    `options`: further ones of its command. Without "--events" it sends events of its tasks only once it is
    told to. `mingle`: whether it asks its neighbours before it begins, which takes a second. `prefix`: of its
    keys on the broker. `extended`: whether it stores arguments with results. `restarts`: whether its pool may
    be restarted. `visibility`: seconds after which messages that are not acknowledged are put back.
    """
    log_file = keep_under(folder / f"worker-{name}.log", f"worker-{name}")
    environment = {
        **os.environ,
        "REDIS_HOST": valkey.host,
        "REDIS_PORT": str(valkey.port),
        "WORKER_QUEUES": queues,
        "WORKER_NAME": name,
        "WORKER_KEY_PREFIX": prefix,
        "WORKER_EXTENDED": "1" if extended else "",
        "WORKER_POOL_RESTARTS": "yes" if restarts else "",
        "WORKER_VISIBILITY": str(visibility),
        "WORKER_CONCURRENCY": str(concurrency),
        "WORKER_POOL": pool,
        "WORKER_OPTIONS": " ".join([*options, *([] if mingle else ["--without-mingle"])]),
    }
    with log_file.open("ab") as log:
        process = forked.start("tests.support.celery_workers", env=environment, output=log, new_session=True)
    worker = Worker(name, process, log_file)
    try:
        _await_answer(celery_app(valkey.host, valkey.port, prefix), worker)
        yield worker
    finally:
        worker.stop()


def _await_answer(app: Celery, worker: Worker) -> None:
    deadline = time.monotonic() + READY_SECONDS
    try:
        while not app.control.ping(destination=[worker.name], timeout=1, limit=1):
            if worker.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"{worker.name} did not start:\n{worker.log()}")
    finally:
        app.close()


def main() -> None:
    host, port = os.environ["REDIS_HOST"], int(os.environ["REDIS_PORT"])
    extended = bool(os.environ.get("WORKER_EXTENDED"))
    app = celery_app(host, port, os.environ.get("WORKER_KEY_PREFIX", ""), extended=extended)
    app.conf.worker_pool_restarts = bool(os.environ.get("WORKER_POOL_RESTARTS"))
    visibility = int(os.environ.get("WORKER_VISIBILITY", "3600"))
    app.conf.broker_transport_options = {
        **(app.conf.broker_transport_options or {}),
        "visibility_timeout": visibility,
        # They are looked for each second, where tests wait for it.
        **({"unacked_restore_interval": 1, "unacked_restore_throttle": 1} if visibility < 3600 else {}),
    }
    arguments = [
        "worker",
        f"--pool={os.environ['WORKER_POOL']}",
        f"--concurrency={os.environ['WORKER_CONCURRENCY']}",
    ]
    arguments += [f"--queues={os.environ['WORKER_QUEUES']}", f"--hostname={os.environ['WORKER_NAME']}"]
    arguments += os.environ["WORKER_OPTIONS"].split()
    app.worker_main([*arguments, "--loglevel=INFO"])


if __name__ == "__main__":
    main()
