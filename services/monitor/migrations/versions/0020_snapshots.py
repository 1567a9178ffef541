"""Measures are kept for charts (docs/decisions/monitor-snapshots.md).

The version before writes none.
"""

from services.kernel.grants import grant
from services.kernel.migrations import run_script

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    run_script(
        """
        -- The measures of which values are kept, each with a subject: a queue, a task's name, a worker.
        CREATE TABLE celery_monitoring_series (
            id integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
            measure text NOT NULL,
            subject text NOT NULL,
            created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            CONSTRAINT celery_monitoring_series_name UNIQUE (measure, subject)
        );

        -- The readings of the present hour, each of all series (services.monitor.snapshots.packing).
        CREATE TABLE celery_monitoring_readings (
            taken_at timestamptz PRIMARY KEY,
            points bytea NOT NULL
        );

        -- The values of one series in a block of time, in steps of so many seconds; mean: of those known.
        CREATE TABLE celery_monitoring_snapshots (
            series integer NOT NULL,
            step integer NOT NULL,
            began_at timestamptz NOT NULL,
            mean real NOT NULL,
            points bytea NOT NULL,
            PRIMARY KEY (series, step, began_at)
        );
        CREATE INDEX celery_monitoring_snapshots_age ON celery_monitoring_snapshots (step, began_at);

        -- They are compressed already. Rows are written once and deleted once, many at a time: their room is
        -- to be used again by what comes next.
        ALTER TABLE celery_monitoring_readings ALTER COLUMN points SET STORAGE EXTERNAL;
        ALTER TABLE celery_monitoring_snapshots ALTER COLUMN points SET STORAGE EXTERNAL;
        ALTER TABLE celery_monitoring_readings SET (
            autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 300
        );
        ALTER TABLE celery_monitoring_snapshots SET (
            autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
            toast.autovacuum_vacuum_scale_factor = 0, toast.autovacuum_vacuum_threshold = 1000
        );
        """
    )
    tables = "celery_monitoring_series, celery_monitoring_readings, celery_monitoring_snapshots"
    grant("monitor", tables, "SELECT, INSERT, UPDATE, DELETE")
