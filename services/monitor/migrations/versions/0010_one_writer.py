"""Of several monitors one writes, by a lease; totals are in a table, with the place up to which they count.

The version before writes rows as it did, and adds nothing to totals.
"""

from services.kernel.grants import grant
from services.kernel.migrations import run_script

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    run_script(
        """
        CREATE TABLE celery_monitor_leases (
            name text PRIMARY KEY,
            holder text NOT NULL,
            until timestamptz NOT NULL,
            epoch bigint NOT NULL DEFAULT 0
        );

        -- One row: up to where in the events totals and rows of tasks are written.
        CREATE TABLE celery_event_place (
            single boolean PRIMARY KEY DEFAULT true,
            counted_to bigint[] NOT NULL,
            written_to text NOT NULL,
            commits bigint NOT NULL,
            CONSTRAINT celery_event_place_single CHECK (single)
        );
        INSERT INTO celery_event_place (counted_to, written_to, commits) VALUES ('{0,0}', '', 0);

        -- services.monitor.totals.tally says what a figure is.
        CREATE TABLE celery_event_totals (
            figure text NOT NULL,
            label text NOT NULL,
            part text NOT NULL,
            total double precision NOT NULL,
            -- The number of the commit that changed it last.
            commit bigint NOT NULL,
            PRIMARY KEY (figure, label, part)
        );
        CREATE INDEX celery_event_totals_commit ON celery_event_totals (commit);
        """
    )
    grant("monitor", "celery_monitor_leases", "SELECT, INSERT, UPDATE")
    grant("monitor", "celery_event_place", "SELECT, INSERT, UPDATE")
    grant("monitor", "celery_event_totals", "SELECT, INSERT, UPDATE")
