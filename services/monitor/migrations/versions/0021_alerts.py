"""Alerts: rules that people set, what fires and fired, silences, and what is sent over channels.

The version before neither reads nor writes them.
"""

from services.kernel.grants import grant
from services.kernel.migrations import run_script

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    run_script(
        """
        -- Standing rules are in the code; here are those that somebody changed, and those that people made.
        -- definition: a JSON object, as Rule.values has it.
        -- request_id: of the request that made it.
        CREATE TABLE celery_alert_rules (
            id text PRIMARY KEY,
            definition jsonb NOT NULL,
            updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            updated_by text NOT NULL,
            request_id text,
            request_digest bytea
        );

        -- What the rule said when the alert fired is copied: it may change.
        CREATE TABLE celery_alerts (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            rule text NOT NULL,
            subject text NOT NULL,
            measure text NOT NULL,
            comparison text NOT NULL,
            threshold double precision NOT NULL,
            severity text NOT NULL,
            description text NOT NULL,
            labels jsonb NOT NULL,
            runbook_url text NOT NULL,
            value double precision NOT NULL,
            worst double precision NOT NULL,
            last double precision NOT NULL,
            since timestamptz NOT NULL,
            fired_at timestamptz NOT NULL,
            ended_at timestamptz,
            end_reason text NOT NULL DEFAULT '',
            acknowledged_by text NOT NULL DEFAULT '',
            acknowledged_at timestamptz,
            acknowledge_note text NOT NULL DEFAULT '',
            version integer NOT NULL DEFAULT 1
        );
        CREATE UNIQUE INDEX celery_alerts_firing ON celery_alerts (rule, subject) WHERE ended_at IS NULL;
        CREATE INDEX celery_alerts_newest ON celery_alerts (fired_at DESC, id DESC);
        CREATE INDEX celery_alerts_ended ON celery_alerts (ended_at) WHERE ended_at IS NOT NULL;

        -- rule, subject_pattern: '' for any. request_id: the request that made it.
        CREATE TABLE celery_alert_silences (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            rule text NOT NULL,
            subject_pattern text NOT NULL,
            labels jsonb NOT NULL,
            until timestamptz NOT NULL,
            reason text NOT NULL,
            created_by text NOT NULL,
            created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            request_id text,
            request_digest bytea
        );
        CREATE INDEX celery_alert_silences_until ON celery_alert_silences (until);
        CREATE UNIQUE INDEX celery_alert_silences_request ON celery_alert_silences (request_id)
            WHERE request_id IS NOT NULL;

        -- What one channel is to be told of one alert, once for each of the states. next_at: when it is to be
        -- tried; NULL once it is delivered or given up.
        CREATE TABLE celery_alert_deliveries (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            alert bigint NOT NULL REFERENCES celery_alerts ON DELETE CASCADE,
            told_state text NOT NULL,
            channel text NOT NULL,
            created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            next_at timestamptz,
            attempts integer NOT NULL DEFAULT 0,
            error text NOT NULL DEFAULT '',
            delivered_at timestamptz,
            CONSTRAINT celery_alert_deliveries_told UNIQUE (alert, told_state, channel)
        );
        CREATE INDEX celery_alert_deliveries_waiting ON celery_alert_deliveries (channel, next_at)
            WHERE next_at IS NOT NULL;
        CREATE INDEX celery_alert_deliveries_undelivered ON celery_alert_deliveries (created_at)
            WHERE delivered_at IS NULL AND error <> '';
        CREATE INDEX celery_alert_deliveries_newest ON celery_alert_deliveries (channel, created_at DESC)
        """
    )
    for table in (
        "celery_alert_rules",
        "celery_alerts",
        "celery_alert_silences",
        "celery_alert_deliveries",
    ):
        grant("monitor", table, "SELECT, INSERT, UPDATE, DELETE")
