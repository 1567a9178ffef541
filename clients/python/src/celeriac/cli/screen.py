"""The full screen of `celeriac watch`, by textual. Imported by that command alone."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.widgets import ContentSwitcher, DataTable, Footer, Input, Static

from celeriac import exceptions
from celeriac.calls.views import view
from celeriac.cli import queues, tasks, times, workers
from celeriac.cli.board import Board
from celeriac.cli.output import Column, Output
from celeriac.cli.session import Session
from celeriac.cli.widths import printable

if TYPE_CHECKING:
    from textual.events import Key

SECONDS = 1.0
QUEUE_SECONDS = 5.0
VIEWS: dict[str, list[Column]] = {
    "tasks": [*tasks.COLUMNS[1:4], tasks.COLUMNS[5], tasks.COLUMNS[6], tasks.COLUMNS[0]],
    "queues": queues.COLUMNS[:9],
    "workers": workers.COLUMNS,
}
# As in the dashboard: "g", then a letter.
GO = {"t": "tasks", "q": "queues", "w": "workers"}


class WatchScreen(App[None]):
    """Tasks, queues and workers, renewed each second."""

    CSS = """
    #head { height: 2; padding: 0 1; }
    #filter { display: none; dock: bottom; margin-bottom: 1; }
    ContentSwitcher { height: 1fr; }
    DataTable { height: 1fr; }
    """
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[Any]] = [
        Binding("g", "go", "g t/q/w: tasks, queues, workers"),
        Binding("slash", "filter", "filter", key_display="/"),
        Binding("f", "failures", "failures"),
        Binding("p", "pause", "pause"),
        Binding("escape", "clear", "clear", show=False),
        Binding("q", "quit", "quit"),
    ]

    def __init__(self, session: Session, board: Board) -> None:
        super().__init__()
        self._session = session
        self._board = board
        self._out = Output(session)
        self._going = self._paused = self._failures = False
        self._text = ""

    def compose(self) -> ComposeResult:
        yield Static(id="head")
        with ContentSwitcher(initial="tasks"):
            for name in VIEWS:
                yield DataTable(id=name, cursor_type="row", zebra_stripes=False)
        yield Input(placeholder="a part of the name, the id, the queue or the error", id="filter")
        yield Footer()

    def on_mount(self) -> None:
        for name, columns in VIEWS.items():
            self.query_one(f"#{name}", DataTable).add_columns(*(column.title for column in columns))
        self.query_one("#tasks").focus()
        self.set_interval(SECONDS, self.renew)
        self.set_interval(QUEUE_SECONDS, self._ask_for_queues)
        self._ask_for_queues()
        self.renew()

    def _ask_for_queues(self) -> None:
        # The stream tells their lengths; their consumers and rates are asked for.
        self.run_worker(self._take_queues, thread=True, exclusive=True, exit_on_error=False)

    def _take_queues(self) -> None:
        try:
            self._board.know_queues(self._session.client.queues.list(limit=200).all())
        except exceptions.Error as error:
            self._board.error = error.message

    def renew(self) -> None:
        """Shows what the board has now, unless it is paused."""
        self._session.now = dt.datetime.now(times.UTC)
        self.query_one("#head", Static).update(self._head())
        if self._paused:
            return
        name = str(self.query_one(ContentSwitcher).current)
        table: DataTable[Text] = self.query_one(f"#{name}", DataTable)
        # Only as many rows as the screen has: more would cost, and nobody would see them.
        found = self._found(name, max(table.size.height - 1, 1))
        row = table.cursor_row
        table.clear()
        table.add_rows([[self._cell(column, item) for column in VIEWS[name]] for item in found])
        table.move_cursor(row=min(row, max(len(found) - 1, 0)))

    def _found(self, name: str, most: int) -> list[Any]:
        if name == "tasks":
            raw = self._board.tasks(most, self._is_chosen)
        else:
            raw = self._board.queues() if name == "queues" else self._board.workers()
            raw = [each for each in raw if self._text.lower() in each.name.lower()][:most]
        return [view(each) for each in raw]

    def _is_chosen(self, task: Any) -> bool:
        if self._failures and not task.exception_type:
            return False
        told = f"{task.name} {task.task_name} {task.queue} {task.exception_type} {task.exception_message}"
        return self._text.lower() in told.lower()

    def _cell(self, column: Column, item: Any) -> Text:
        value = column.value(item)
        if isinstance(value, dt.datetime):
            return Text(times.relative(value, self._session.now))
        text = printable(self._out.text_of(value, column.unset))
        return Text(text, style=column.styles.get(text, "") if self._session.color else "")

    def _head(self) -> Text:
        board, metrics = self._board, self._board.metrics
        told = Text(f"{self._session.client.target}  ", style="bold")
        if metrics is not None:
            told.append(
                f"{metrics.succeeded_per_second:.3g} succeed/s  {metrics.failed_per_second:.3g} fail/s  "
                f"{metrics.active_tasks:,} run  {metrics.online_workers:,} workers  "
                f"{metrics.events_lost:,} events lost"
            )
        states = [
            f"{board.changes:,} changes seen",
            f"{board.missing:,} missing" if board.missing else "",
            "PAUSED" if self._paused else "",
            "failures only" if self._failures else "",
            f"filter: {self._text}" if self._text else "",
            board.error,
        ]
        return told.append("\n" + " · ".join(filter(None, states)))

    def on_key(self, event: Key) -> None:
        if self._going:
            self._going = False
            if event.key in GO:
                event.stop()
                event.prevent_default()
                self.query_one(ContentSwitcher).current = GO[event.key]
                self.query_one(f"#{GO[event.key]}").focus()
                self.renew()

    def action_go(self) -> None:
        self._going = True

    def action_filter(self) -> None:
        entry = self.query_one("#filter", Input)
        entry.display = True
        entry.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        self._text = event.value

    def on_input_submitted(self, _: Input.Submitted) -> None:
        self._leave_filter()

    def action_clear(self) -> None:
        self.query_one("#filter", Input).value = ""
        self._text, self._failures = "", False
        self._leave_filter()

    def _leave_filter(self) -> None:
        self.query_one("#filter", Input).display = False
        self.query_one(f"#{self.query_one(ContentSwitcher).current}").focus()
        self.renew()

    def action_failures(self) -> None:
        self._failures = not self._failures
        self.renew()

    def action_pause(self) -> None:
        self._paused = not self._paused
        self.renew()

    async def action_quit(self) -> None:
        # "g q" shows the queues; "q" alone ends.
        if not self._going:
            self.exit()


def watching(session: Session, board: Board, filters: dict[str, Any]) -> Callable[[], None]:
    """Begins to fill the board from a thread of its own. Returns what ends it."""
    watch = session.client.monitoring.watch(**filters, task_interval=SECONDS, metrics_interval=SECONDS)

    def fill() -> None:
        try:
            board.know_tasks(session.client.tasks.list(**filters, limit=100).all())
            board.know_workers(session.client.workers.list(states=["ONLINE", "SILENT"]).all())
            for event in watch:
                board.take(event)
        except exceptions.Error as error:
            board.error = error.message
        except ValueError:
            # grpc says so of a channel that was closed: the command ends.
            return

    threading.Thread(target=fill, name="celeriac-watch", daemon=True).start()
    return watch.close
