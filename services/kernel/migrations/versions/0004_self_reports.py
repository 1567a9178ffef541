"""What each process tells of itself, for the monitor to look after."""

from services import STORING
from services.kernel.grants import grant, role_of
from services.kernel.migrations import run_script

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    run_script(
        """
        -- instance: a process. value: what the measure is derived from (services.kernel.self_report).
        CREATE TABLE celeriac_self_reports (
            service text NOT NULL,
            instance uuid NOT NULL,
            measure text NOT NULL,
            subject text NOT NULL,
            value double precision NOT NULL,
            told_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            PRIMARY KEY (service, instance, measure, subject)
        );
        ALTER TABLE celeriac_self_reports ENABLE ROW LEVEL SECURITY;
        CREATE POLICY everyone_reads ON celeriac_self_reports FOR SELECT USING (true);
        """
    )
    for service in STORING:
        grant(service, "celeriac_self_reports", "SELECT, INSERT, UPDATE, DELETE")
        run_script(
            f"""
            CREATE POLICY {service}_writes ON celeriac_self_reports TO {role_of(service)}
                USING (service = '{service}') WITH CHECK (service = '{service}')
            """
        )
