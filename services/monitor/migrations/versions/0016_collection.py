"""Whether events of tasks are taken in, remembered over restarts.

The version before does not know of it, and goes on to take events in. It can't read a gap with the cause
COLLECTION_STOPPED: stop collection only when all monitors are of this version.
"""

from services.kernel.grants import grant
from services.kernel.migrations import run_script

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    run_script(
        """
        -- One row. stopped_at: NULL while events are taken in. starting: their taking in was asked for again,
        -- and the time of the stop is no recorded gap yet.
        CREATE TABLE celery_event_collection (
            single boolean PRIMARY KEY DEFAULT true,
            stopped_at timestamptz,
            stopped_by text NOT NULL DEFAULT '',
            starting boolean NOT NULL DEFAULT false,
            CONSTRAINT celery_event_collection_single CHECK (single),
            CONSTRAINT celery_event_collection_check CHECK (stopped_at IS NOT NULL OR NOT starting)
        );
        INSERT INTO celery_event_collection DEFAULT VALUES;
        """
    )
    grant("monitor", "celery_event_collection", "SELECT, INSERT, UPDATE")
