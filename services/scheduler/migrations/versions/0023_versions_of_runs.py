"""Each run records which version of its schedule it was made of.

A task that is retried gets the arguments of its schedule, if they are those that it was sent with: if that
version is still the present one. Runs that there are already, and those that a process of the version before
records, have NULL.
"""

from services.kernel.migrations import run_script

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    run_script("ALTER TABLE celery_schedule_runs ADD COLUMN schedule_version bigint")
