"""Runs that ended, but not well, have an index of their own.

No run that succeeds is ever in it, and none before its end: dispatching writes nothing to it, and neither
does what is heard of most ends. Those of one schedule are found in it, too: that others failed costs no look
at their rows.
"""

from services.kernel.migrations import run_script

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    run_script(
        """
        CREATE INDEX celery_schedule_runs_failed ON celery_schedule_runs (due_at DESC, schedule_id DESC)
            WHERE outcome <> 'SUCCESS';
        """
    )
