"""A page of a list of schedules, taken from rows as they come from the database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from celeriac.scheduler.v1 import schedules_pb2 as pb

from services.kernel.pages import encode_last, encode_place
from services.scheduler.api import convert
from services.scheduler.schedule.rows import Row, schedule_of

# gRPC's clients take messages of 4 MiB, unless told otherwise.
MOST_BYTES = 3 * 1024 * 1024


class SchedulePage:
    """As many schedules as the page may have, and as a client takes in one message; one at least."""

    def __init__(self, size: int, *, by_next_run: bool) -> None:
        self._size = size
        self._by_next_run = by_next_run
        self._room = MOST_BYTES
        self._last: Row | None = None
        # There are more schedules than the page has.
        self.full = False
        self.answer = pb.ListSchedulesResponse()

    def taken(self, rows: Sequence[Row]) -> Iterator[None]:
        """Takes rows, one a step, until the page is full; then its answer is whole."""
        for row in rows:
            message = convert.schedule_to(schedule_of(row))
            self._room -= message.ByteSize()
            if len(self.answer.schedules) == self._size or (self._room < 0 and self._last is not None):
                self.full = True
                self.answer.next_page_token = self._token()
                return
            self.answer.schedules.append(message)
            self._last = row
            yield

    def _token(self) -> str:
        """For a page that begins after the last row."""
        assert self._last is not None
        if self._by_next_run:
            return encode_place((self._last["next_run_at"], self._last["id"]))
        return encode_last(self._last["id"])
