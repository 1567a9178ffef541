"""The answers to requests that are repeated word for word: to ApplySchedules and ImportSchedules.

Other repeated requests are answered with the present state of what they made.
"""

from services.kernel.migrations import run_script

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    run_script(
        """
        ALTER TABLE celery_schedule_requests
            -- A message of the contract. NULL where the answer is the state of what was made.
            ADD COLUMN answer bytea;
        """
    )
