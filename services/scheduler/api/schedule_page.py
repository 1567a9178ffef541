"""A page of ListSchedules, filled from rows as they come from the database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from celeriac.scheduler.v1 import schedules_pb2 as pb

from services.kernel.pages import encode_last, encode_place
from services.scheduler.api import convert
from services.scheduler.schedule.rows import Row, schedule_of

# gRPC clients refuse messages above 4 MiB by default.
MOST_BYTES = 3 * 1024 * 1024


class SchedulePage:
    """Holds at most `size` schedules and MOST_BYTES of them, but at least one schedule if there is any."""

    def __init__(self, size: int, *, by_next_run: bool) -> None:
        self._size = size
        self._by_next_run = by_next_run
        self._room = MOST_BYTES
        self._last: Row | None = None
        # Set when a row came that did not fit: there are more schedules than the page holds.
        self.full = False
        self.answer = pb.ListSchedulesResponse()

    def taken(self, rows: Sequence[Row]) -> Iterator[None]:
        """Adds one row in each step, until the page is full; `answer` then has the token of the next page."""
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
        """Returns the token of the page that begins after the last row."""
        assert self._last is not None
        if self._by_next_run:
            return encode_place((self._last["next_run_at"], self._last["id"]))
        return encode_last(self._last["id"])
