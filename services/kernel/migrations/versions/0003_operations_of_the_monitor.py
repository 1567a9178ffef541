"""The monitor has long work of its own. Of other services' operations it still asks for the end, no more."""

from services import SERVICES
from services.kernel.grants import grant, role_of
from services.kernel.migrations import run_script

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    grant("monitor", "celery_operations", "INSERT, UPDATE, DELETE")
    owners = " ".join(f"WHEN '{service}' THEN '{role_of(service)}'" for service in SERVICES)
    run_script(
        f"""
        CREATE POLICY monitor_writes ON celery_operations TO {role_of("monitor")}
            USING (owner = 'monitor') WITH CHECK (owner = 'monitor');

        -- Row security lets the monitor change others' running rows; this, only who asked for their end.
        CREATE FUNCTION celery_operations_guard() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF pg_has_role(current_user, CASE OLD.owner {owners} ELSE current_user END, 'member') THEN
                RETURN NEW;
            END IF;
            IF to_jsonb(NEW) - ARRAY['cancel_requested_at', 'cancel_requested_by', 'txid', 'updated_at']
                IS DISTINCT FROM
                to_jsonb(OLD) - ARRAY['cancel_requested_at', 'cancel_requested_by', 'txid', 'updated_at'] THEN
                RAISE EXCEPTION 'an operation of the service % is written by that service alone', OLD.owner
                    USING ERRCODE = 'insufficient_privilege';
            END IF;
            RETURN NEW;
        END $$;
        CREATE TRIGGER guard BEFORE UPDATE ON celery_operations
            FOR EACH ROW EXECUTE FUNCTION celery_operations_guard();
        """
    )
