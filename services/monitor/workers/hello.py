"""Answers workers that are starting, as another worker would: with the tasks that were revoked.

Before a worker takes its first task it asks all its neighbours for what was revoked (Celery's `mingle`: the
command `hello`, celery/worker/consumer/mingle.py), and waits a second for their answers. So even the task
that is next in its queue is not run. To a worker that is the only one nobody else would answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import TimeoutError as NoAnswerYet
from typing import Any

from celery import Celery
from kombu import Connection
from kombu.exceptions import OperationalError
from kombu.pidbox import Node
from redis.exceptions import RedisError

from services.kernel.errors import Unavailable
from services.kernel.logged_errors import Loggable
from services.kernel.loops import Loop
from services.monitor.pace import USUAL, Pace
from services.monitor.workers.daemon_threads import DaemonThreads
from services.monitor.workers.store_revoked_tasks import RevokedTask

# A worker waits a second for all answers.
ANSWER_SECONDS = 0.8
DRAIN_SECONDS = 60.0

Held = Callable[[], Awaitable[Sequence[RevokedTask]]]


class CommandUnreadable(Loggable):
    """Somebody has published to the workers' mailbox what kombu can't read."""


class Hello:
    """`held` returns the revocations that hold. `app`: the application whose workers are answered."""

    def __init__(self, app: Celery, held: Held, pace: Pace = USUAL) -> None:
        self._app = app
        self._held = held
        self._name = f"celeriac-monitor@{socket.gethostname()}"
        # kombu blocks while it waits for commands.
        self._thread = DaemonThreads(1, "hello")
        self.loop = Loop(
            "worker_hello",
            self._listen,
            every=pace.revoked_again,
            outlives=(Unavailable, CommandUnreadable),
            failed="workers.not_greeted",
        )

    async def _listen(self) -> None:
        running = asyncio.get_running_loop()
        self.loop.heartbeat.idle = True
        try:
            await running.run_in_executor(self._thread, self._answer_for_ever, running)
        except (OperationalError, RedisError, OSError) as error:
            raise Unavailable("the broker") from error
        finally:
            self.loop.heartbeat.idle = False

    def _answer_for_ever(self, running: asyncio.AbstractEventLoop) -> None:
        with self._app.connection_for_read() as connection:
            # Any: celery-types does not have the mailbox, which is made when Control is.
            control: Any = self._app.control
            node: Node = control.mailbox.Node(self._name, channel=connection.channel())
            replies: str = control.mailbox.reply_exchange.name
            commands: list[Any] = []
            heard = [lambda body, message: commands.append(body)]
            with node.Consumer(callbacks=heard, on_decode_error=_pass_over):
                while not running.is_closed():
                    with contextlib.suppress(TimeoutError):
                        _drain(connection)
                    for command in commands:
                        self._answer(node, replies, command, running)
                    commands.clear()

    def _answer(self, node: Node, replies: str, body: Any, running: asyncio.AbstractEventLoop) -> None:
        """Answers `hello`. Any program may write to the mailbox: what has another form is passed over."""
        if not isinstance(body, dict) or body.get("method") != "hello" or body.get("destination"):
            return
        reply_to, ticket = body.get("reply_to"), body.get("ticket")
        if not isinstance(reply_to, dict) or reply_to.get("exchange") != replies:
            return
        routing_key = reply_to.get("routing_key")
        if not isinstance(routing_key, str) or not isinstance(ticket, str):
            return
        try:
            held = asyncio.run_coroutine_threadsafe(_settled(self._held), running).result(ANSWER_SECONDS)
        except NoAnswerYet:
            return  # The worker waits no longer. It is told when it is heard.
        if held:
            revoked = [each.task_id for each in held]
            reply = {self._name: {"revoked": revoked, "clock": None}}
            node.reply(reply, replies, routing_key, ticket)


def _drain(connection: Connection) -> None:
    """Takes the next command in. Raises `TimeoutError`, and `CommandUnreadable`: then connect anew."""
    try:
        connection.drain_events(timeout=DRAIN_SECONDS)
    except TimeoutError:
        raise
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        # Any client of the broker can publish such a message, and kombu stumbles over it in its own ways.
        raise CommandUnreadable("a command in the workers' mailbox can't be read") from error


async def _settled(held: Held) -> Sequence[RevokedTask]:
    return await held()


def _pass_over(message: Any, error: Exception) -> None:
    """Takes a command that can't be decoded, which is not for us."""
