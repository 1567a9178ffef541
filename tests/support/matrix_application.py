"""A Celery application with tasks of every kind, which knows nothing of Celeriac.

It is copied to a folder of its own as `application.py`, where the stock `celery` command runs its workers.
`python application.py POOL` sends one task of each kind, and prints their ids as JSON: {"kind": "id", …}.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import Any

from celery import Celery, chain, chord, group
from celery.exceptions import Ignore, Reject

app = Celery("application", broker=os.environ["BROKER"], backend=os.environ["BACKEND"])
transport = json.loads(os.environ.get("TRANSPORT", "{}"))
app.conf.update(
    task_send_sent_event=True,
    task_default_queue="matrix",
    broker_connection_retry_on_startup=True,
    broker_transport_options=transport,
    result_backend_transport_options=transport,
    worker_prefetch_multiplier=1,
)


@app.task
def add(x: int, y: int) -> int:
    return x + y


@app.task
def total(numbers: list[int]) -> int:
    return sum(numbers)


@app.task(name="任務.加總")
def chinese(text: str) -> str:
    return f"結果：{text}"


@app.task
def fail() -> None:
    raise ValueError("as it should")


@app.task(bind=True, max_retries=3)
def again(self: Any, times: int) -> Any:
    if self.request.retries < times:
        raise self.retry(exc=RuntimeError(f"try {self.request.retries}"), countdown=0.2)
    return self.request.retries


@app.task(bind=True, autoretry_for=(OSError,), retry_backoff=False, default_retry_delay=1, max_retries=2)
def tires(self: Any) -> None:
    raise OSError("never well")


@app.task
def ignore() -> None:
    raise Ignore


@app.task
def reject() -> None:
    raise Reject("not mine", requeue=False)


@app.task(acks_late=True)
def reject_late() -> None:
    raise Reject("not mine", requeue=False)


@app.task(ignore_result=True)
def forget(x: int) -> int:
    return x


@app.task(send_events=False)
def silent(x: int) -> int:
    return x


@app.task(send_events=False)
def silent_secret() -> dict[str, str]:
    return {"password": "hunter2"}


@app.task(bind=True)
def progress(self: Any) -> str:
    self.update_state(state="PROGRESS", meta={"done": 50})
    return "done"


@app.task(bind=True)
def replaced(self: Any) -> None:
    raise self.replace(add.s(20, 22))


@app.task
def parent() -> Any:
    return add.delay(3, 4).id


@app.task
def length(text: str) -> int:
    return len(text)


@app.task
def long_text(size: int) -> str:
    return "長" * size


@app.task(soft_time_limit=1)
def soft_limit() -> None:
    time.sleep(60)


@app.task(time_limit=1)
def hard_limit() -> None:
    time.sleep(60)


@app.task
def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def send(pool: str) -> dict[str, str]:
    sent: dict[str, Any] = {
        "add": add.delay(1, 2),
        "fail": fail.delay(),
        "again": again.delay(2),
        "tires": tires.delay(),
        "ignore": ignore.delay(),
        "reject": reject.delay(),
        "reject_late": reject_late.delay(),
        "forget": forget.delay(1),
        "silent": silent.delay(1),
        "silent secret": silent_secret.delay(),
        "progress": progress.delay(),
        "replaced": replaced.delay(),
        "parent": parent.delay(),
        "chinese": chinese.delay("輸入"),
        "nul": length.delay("a\0b"),
        "megabyte": length.delay("x" * 1_000_000),
        "long result": long_text.delay(200_000),
        "eta": add.apply_async((1, 2), countdown=1),
        "expired": add.apply_async((1, 2), countdown=2, expires=0.5),
        "urgent": add.apply_async((1, 2), priority=9),
        "unknown": app.send_task("no.such.task", queue="matrix"),
        "odd id": add.apply_async((1, 2), task_id="工作/2026:%2F 1"),
        "long id": add.apply_async((1, 2), task_id="L" * 300),
    }
    third: Any = chain(add.s(1, 1), add.s(2), add.s(3))()
    sent |= {"chain 3": third, "chain 2": third.parent, "chain 1": third.parent.parent}
    several: Any = group(add.s(number, number) for number in range(3))()
    sent |= {f"group {number}": result for number, result in enumerate(several.results)}
    sent["chord"] = chord((add.s(number, number) for number in range(3)), total.s())()
    sent["failed chord"] = chord([add.s(1, 1), fail.s()], total.s())()
    if pool == "prefork":
        sent |= {"soft limit": soft_limit.delay(), "hard limit": hard_limit.delay(), "killed": die.delay()}
    return {kind: result.id for kind, result in sent.items()}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(send(sys.argv[1])))
