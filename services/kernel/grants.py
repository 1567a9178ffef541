"""Rights in the database: the role of a service has rights on the service's own tables only."""

from __future__ import annotations

from alembic import op


def role_of(service: str) -> str:
    return f"celeriac_{service}"


def ensure_role(service: str) -> None:
    """Creates the service's role, which can't log in, if the PostgreSQL cluster does not have it.

    The operator gives it a password (`ALTER ROLE … LOGIN PASSWORD …`). Two migrations at the same moment may
    both try: the error of the second is ignored, because the role exists then.
    """
    op.execute(
        f"""
        DO $$ BEGIN
            CREATE ROLE {role_of(service)} NOLOGIN;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
        END $$
        """
    )


def grant(service: str, tables: str, rights: str) -> None:
    """Grants `rights` ("SELECT, INSERT") on `tables` ("celery_schedules, …") to the service's role."""
    ensure_role(service)
    op.execute(f"GRANT {rights} ON {tables} TO {role_of(service)}")


def grant_sequence(service: str, sequences: str) -> None:
    """Lets the service's role draw numbers from the sequences."""
    ensure_role(service)
    op.execute(f"GRANT USAGE, SELECT ON SEQUENCE {sequences} TO {role_of(service)}")
