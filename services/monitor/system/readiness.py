"""Whether the system has come up: until then it tells nobody that it is there."""

from __future__ import annotations

from pathlib import Path

from services.kernel.errors import NotReady
from services.monitor.system.components import Components, Health

RETRY_SECONDS = 1.0
FIRST_STEPS = "the first steps of its start"


class Readiness:
    """Ready is a state that is reached once, and not left while the process runs.

    It is reached when no component is unhealthy, and the file `after` exists, if there is one to wait for.
    What becomes unhealthy later is told by the system's status and health: callers that ask whether the
    system has come up should not be told that it has not.
    """

    def __init__(self, components: Components, after: Path | None = None) -> None:
        self._components = components
        self._after = after
        self._reached = False

    def require(self) -> None:
        """Raises `NotReady`, with the names of what is waited for. Anyone may read these."""
        if self._reached:
            return
        missing = self._missing()
        if missing:
            raise NotReady(
                f"the system is not ready, it waits for: {', '.join(missing)};"
                f" try again in {RETRY_SECONDS:g} s",
                RETRY_SECONDS,
            )
        self._reached = True

    def _missing(self) -> list[str]:
        missing: list[str] = []
        if not self._components.was_there:
            missing += [one.name for one in self._components.all() if one.health is Health.UNHEALTHY]
        if self._after is not None and not self._after.exists():
            missing.append(FIRST_STEPS)
        return missing
