"""The scheduler may lock rows of its log of changes, as deleting the old ones of it needs.

PostgreSQL asks for the right to update of whoever selects FOR UPDATE: without it nothing was ever deleted.
"""

from services.kernel.grants import grant

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    grant("scheduler", "celery_schedule_changes", "UPDATE")
