"""A Celery application that knows nothing of Celeriac, run by the stock `celery` command."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import redis
from celeriac.scheduler.v1 import schedules_pb2 as pb
from google.protobuf.duration_pb2 import Duration

from deploy.standalone.tokens import LocalIssuer
from tests.support.calls import eventually
from tests.support.kept_logs import keep_under
from tests.support.processes import ROOT
from tests.support.runs import task_id_of
from tests.support.schedulers import Scheduler, running_scheduler
from tests.support.servers import Valkey, create_migrated_database, temporary_valkey

UV = ROOT / ".uv/bin/uv"
APPLICATION = '''
import json
import os

from celery import Celery

app = Celery("shop", broker=os.environ["BROKER"], backend=os.environ["BACKEND"])
app.conf.task_default_queue = "shop"
app.conf.broker_transport_options = json.loads(os.environ["TRANSPORT"])


@app.task(bind=True)
def told(self, *args, **kwargs):
    """What the worker was told: what a task can see of its message."""
    names = ("id", "root_id", "parent_id", "task", "expires", "eta", "timelimit", "retries", "delivery_info")
    names += ("tenant", "group", "callbacks", "errbacks", "chain", "chord", "is_eager", "called_directly")
    names += ("ignore_result", "correlation_id", "argsrepr", "kwargsrepr", "lang")
    request = {name: getattr(self.request, name, None) for name in names}
    return {"args": list(args), "kwargs": kwargs, "request": request}


@app.task(bind=True, acks_late=True, max_retries=3)
def stubborn(self, wanted):
    if self.request.retries < wanted:
        raise self.retry(countdown=0)
    return self.request.retries


if __name__ == "__main__":
    told.apply_async(
        (1, "two"), {"name": "王"}, queue="shop", priority=5, expires=600, headers={"tenant": "acme"},
        time_limit=60, soft_time_limit=50, task_id="by-hand",
    )
'''


NOTHING: Mapping[str, object] = {}


class Shop(NamedTuple):
    """The application, in a folder of its own, under some version of Celery."""

    folder: Path
    python: tuple[str, ...]
    environment: Mapping[str, str]
    broker: Valkey

    def send_by_hand(self) -> None:
        subprocess.run([*self.python, "shop.py"], env=self.environment, cwd=self.folder, check=True)

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        command = [*self.python, "-m", "celery", "-A", "shop", "worker", "-E", "-Q", "shop,mail"]
        with keep_under(self.folder / "worker.log", "shop-worker").open("ab") as log:
            process = subprocess.Popen(
                [*command, "--concurrency=1"], env=self.environment, cwd=self.folder, stdout=log, stderr=log
            )
        try:
            yield
        finally:
            process.terminate()
            process.wait(60)

    def result(self, task_id: str) -> dict[str, Any]:
        """Waits until the task has ended, and its result is in the result backend."""
        with redis.Redis(self.broker.host, self.broker.port, db=1) as client:

            def ended() -> dict[str, Any] | None:
                found: Any = client.get(f"celery-task-meta-{task_id}")
                result: dict[str, Any] = json.loads(found or "{}")
                return result if result.get("status") in {"SUCCESS", "FAILURE", "REVOKED"} else None

            result: dict[str, Any] = eventually(ended, 90)
        return result

    def broker_keys(self) -> set[str]:
        with redis.Redis(self.broker.host, self.broker.port) as client:
            return {key.decode() for key in client.scan_iter()}


@pytest.fixture(scope="module")
def valkey() -> Iterator[Valkey]:
    with temporary_valkey() as server:
        yield server


@contextlib.contextmanager
def shop_and_scheduler(
    place: tuple[Path, LocalIssuer, str, Valkey],
    folder: Path,
    transport: Mapping[str, object] = NOTHING,
    python: tuple[str, ...] = (sys.executable,),
) -> Iterator[tuple[Shop, Scheduler]]:
    state, tokens, database_url, valkey = place
    valkey.flush()
    (folder / "shop.py").write_text(APPLICATION)
    url = f"redis://{valkey.host}:{valkey.port}"
    # Nothing of ours is on its path.
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment = {**own, "BROKER": f"{url}/0", "BACKEND": f"{url}/1", "C_FORCE_ROOT": "1"}
    environment["TRANSPORT"] = json.dumps(dict(transport))
    steps: Any = transport.get("priority_steps", (0, 3, 6, 9))
    settings = {
        "CELERIAC_BROKER_KEY_PREFIX": str(transport.get("global_keyprefix", "")),
        "CELERIAC_BROKER_PRIORITY_STEPS": ",".join(map(str, steps)),
        "CELERIAC_BROKER_PRIORITY_SEPARATOR": str(transport.get("sep", "\x06\x16")),
    }
    with running_scheduler(state, tokens, database_url, valkey, **settings) as scheduler:
        yield Shop(folder, python, environment, valkey), scheduler


@pytest.fixture
async def place(
    certificates: Path, tokens: LocalIssuer, postgres_url: str, valkey: Valkey
) -> tuple[Path, LocalIssuer, str, Valkey]:
    return certificates, tokens, await create_migrated_database(postgres_url), valkey


def once(scheduler: Scheduler, name: str, task: pb.TaskSpec) -> pb.Run:
    """Schedules the task for one run, a moment from now, and waits until it is published.

    By an interval, whose next due time lies ahead however long the call takes.
    """
    timing = pb.Timing(interval=pb.Interval(every=Duration(seconds=1)))
    schedule = pb.Schedule(name=name, task=task, timing=timing, max_runs=1)
    scheduler.schedules.CreateSchedule(pb.CreateScheduleRequest(schedule=schedule))
    run: pb.Run = eventually(
        lambda: next((run for run in scheduler.runs(name) if run.state == pb.RUN_STATE_PUBLISHED), None)
    )
    return run


def full_task() -> pb.TaskSpec:
    """What APPLICATION sends by hand."""
    return pb.TaskSpec(
        task_name="shop.told",
        args_json='[1, "two"]',
        kwargs_json='{"name": "王"}',
        queue="queues/shop",
        priority=5,
        expires=Duration(seconds=600),
        headers={"tenant": "acme"},
        time_limit=Duration(seconds=60),
        soft_time_limit=Duration(seconds=50),
    )


def check_all_arrives(shop: Shop, scheduler: Scheduler) -> None:
    """Scheduled, a task is told what it is told when it is sent by its own application."""
    run = once(scheduler, "schedules/told", full_task())
    again = once(
        scheduler,
        "schedules/stubborn",
        pb.TaskSpec(task_name="shop.stubborn", args_json="[2]", queue="queues/mail"),
    )
    shop.send_by_hand()
    with shop.working():
        ours, theirs = shop.result(task_id_of(run)), shop.result("by-hand")
        assert ours["status"] == theirs["status"] == "SUCCESS"
        told, wanted = ours["result"], theirs["result"]
        assert told["args"] == [1, "two"] and told["kwargs"] == {"name": "王"}
        expires = dt.datetime.fromisoformat(told["request"].pop("expires"))
        assert expires == run.due_time.ToDatetime(dt.UTC) + dt.timedelta(seconds=600)
        assert wanted["request"].pop("expires")
        by_hand = json.loads(json.dumps(wanted).replace("by-hand", task_id_of(run)))
        differing = {
            name: (value, by_hand["request"][name])
            for name, value in told["request"].items()
            if value != by_hand["request"][name]
        }
        assert differing == {}
        assert told["request"]["tenant"] == "acme" and told["request"]["timelimit"] == [60, 50]
        retried = shop.result(task_id_of(again))
        assert (retried["status"], retried["result"]) == ("SUCCESS", 2)


def test_a_scheduled_task_is_told_what_it_is_told_when_sent_by_its_own_application(
    place: tuple[Path, LocalIssuer, str, Valkey], tmp_path: Path
) -> None:
    with shop_and_scheduler(place, tmp_path) as (shop, scheduler):
        check_all_arrives(shop, scheduler)


def test_an_application_with_a_key_prefix_is_served_under_it(
    place: tuple[Path, LocalIssuer, str, Valkey], tmp_path: Path
) -> None:
    with shop_and_scheduler(place, tmp_path, {"global_keyprefix": "shop:"}) as (shop, scheduler):
        check_all_arrives(shop, scheduler)
        assert {key for key in shop.broker_keys() if not key.startswith("shop:")} == set()
        assert any(key.startswith("shop:celeriac:batch:") for key in shop.broker_keys())


def test_an_application_with_priorities_of_its_own_finds_each_message_in_its_list(
    place: tuple[Path, LocalIssuer, str, Valkey], tmp_path: Path
) -> None:
    transport = {"priority_steps": list(range(10)), "sep": ":", "queue_order_strategy": "priority"}
    with shop_and_scheduler(place, tmp_path, transport) as (shop, scheduler):
        once(
            scheduler, "schedules/urgent", pb.TaskSpec(task_name="shop.told", queue="queues/mail", priority=4)
        )
        assert "mail:4" in shop.broker_keys()
        check_all_arrives(shop, scheduler)


# Each with the kombu of its time; the oldest, and the one that is installed, are in every run of the tests.
@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("celery", "kombu"),
    [
        ("5.4.0", "5.4.2"),
        pytest.param("5.5.3", "5.5.4", marks=pytest.mark.soak),
        pytest.param("5.6.2", "5.6.2", marks=pytest.mark.soak),
    ],
)
def test_an_application_on_an_older_celery_is_served_alike(
    place: tuple[Path, LocalIssuer, str, Valkey], tmp_path: Path, celery: str, kombu: str
) -> None:
    isolated = (str(UV), "run", "--quiet", "--no-project", "--isolated", "--python", sys.executable)
    python = (*isolated, "--with", f"celery[redis]=={celery}", "--with", f"kombu[redis]=={kombu}", "python")
    version = "import celery; print(celery.__version__)"
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    found = subprocess.run([*python, "-c", version], env=own, cwd=tmp_path, capture_output=True, text=True)
    assert found.stdout.strip() == celery, found.stderr
    with shop_and_scheduler(place, tmp_path, python=python) as (shop, scheduler):
        check_all_arrives(shop, scheduler)


def test_a_task_that_waited_past_its_expiry_is_dropped_and_a_more_urgent_one_runs_first(
    place: tuple[Path, LocalIssuer, str, Valkey], tmp_path: Path
) -> None:
    with shop_and_scheduler(place, tmp_path) as (shop, scheduler):
        stale = once(
            scheduler,
            "schedules/stale",
            pb.TaskSpec(task_name="shop.told", queue="queues/mail", expires=Duration(nanos=500_000_000)),
        )
        later = once(
            scheduler, "schedules/later", pb.TaskSpec(task_name="shop.told", queue="queues/shop", priority=9)
        )
        sooner = once(
            scheduler, "schedules/sooner", pb.TaskSpec(task_name="shop.told", queue="queues/shop", priority=0)
        )
        expired = stale.due_time.ToDatetime(dt.UTC) + dt.timedelta(seconds=1)
        eventually(lambda: dt.datetime.now(dt.UTC) > expired)
        with shop.working():
            assert shop.result(task_id_of(stale))["status"] == "REVOKED"
            done = [shop.result(task_id_of(run)) for run in (sooner, later)]
            assert [result["status"] for result in done] == ["SUCCESS", "SUCCESS"]
            assert done[0]["date_done"] < done[1]["date_done"]
