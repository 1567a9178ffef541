"""`celeriac watch`: what happens, as it happens, on the whole screen."""

from __future__ import annotations

from typing import Any

import click

from celeriac.cli.failures import USAGE, Problem
from celeriac.cli.options import SEVERAL
from celeriac.cli.session import Session, command


@command("watch")
@click.option("--state", type=SEVERAL, metavar="failure,…", help="Only tasks that come into these states.")
@click.option("--task", type=SEVERAL, metavar="NAME,…", help="Only tasks of these registered names.")
@click.option("--queue", type=SEVERAL, metavar="NAME,…", help="Only of these queues.")
@click.option("--worker", type=SEVERAL, metavar="NAME,…", help="Only by these workers.")
def watch(session: Session, state: Any, task: Any, queue: Any, worker: Any) -> None:
    """What happens, as it happens, on the whole screen.

    Keys: g t, g q, g w for tasks, queues, workers; / filters; f shows failures alone; p pauses; Esc clears; q
    ends.
    """
    if not session.is_terminal:
        raise Problem(
            "the whole screen needs a terminal", "standard output is none", "celeriac tasks tail", USAGE
        )
    try:
        from celeriac.cli.screen import WatchScreen, watching
    except ModuleNotFoundError as error:
        told = "install the client with its extra `watch`, as docs/command.md says"
        raise Problem("this needs textual", str(error), told, USAGE) from None
    from celeriac.cli.board import Board

    # Before the screen is taken: what is wrong is told in the usual three lines.
    session.client.monitoring.get_realtime_metrics(deadline=session.deadline)
    board = Board()
    chosen = {"states": state, "task_names": task, "queues": queue, "workers": worker}
    end = watching(session, board, {name: value for name, value in chosen.items() if value})
    try:
        WatchScreen(session, board).run()
    finally:
        end()
