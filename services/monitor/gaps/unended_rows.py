"""Whether it is worth while to look for stored tasks that have not ended."""

from __future__ import annotations

from services.monitor.intake.intake import Intake


class UnendedRows:
    """For a loop that looks at them again and again: while no row is written, none comes where none was."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._rows = 0
        # How many rows were written when there was none; None: there were some.
        self._none_at: int | None = None

    @property
    def may_be(self) -> bool:
        """Whether there may be some of which it can be told that they have ended.

        Of several monitors one puts tasks right. While events wait to be taken in, an end may be among them.
        """
        writes, caught_up = self._intake.writes, self._intake.caught_up
        return writes and caught_up and self._none_at != self._intake.rows_written

    def are_read(self) -> None:
        """Takes in that they are read from now on."""
        self._rows = self._intake.rows_written

    def were_found(self, any_found: bool) -> None:
        """Takes in what the rows that were read then have shown."""
        self._none_at = None if any_found else self._rows
