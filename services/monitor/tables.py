"""The monitor's tables: tasks, as derived from their events, their search index, revoked tasks, gaps, and the
audit outbox."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    REAL,
    BigInteger,
    Boolean,
    Column,
    Computed,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Sequence,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from services.kernel.tables import Moment, check, new_metadata, outbox_table, required

metadata = new_metadata()

# The same as services.monitor.tasks.tasks.state_of, in SQL; a test compares the two.
ENDED = "greatest(succeeded_at, failed_at, revoked_at, rejected_at)"
STATE = f"""
    CASE
        WHEN coalesce(greatest(received_at, started_at) <= {ENDED}, {ENDED} IS NOT NULL)
            THEN CASE {ENDED}
                WHEN succeeded_at THEN 'SUCCESS'
                WHEN failed_at THEN 'FAILURE'
                WHEN revoked_at THEN 'REVOKED'
                ELSE 'REJECTED'
            END
        WHEN coalesce(vanished_at >= greatest(received_at, started_at, retried_at), vanished_at IS NOT NULL)
            THEN coalesce(vanished_as, 'ENDED')
        WHEN coalesce(retried_at >= greatest(received_at, started_at), retried_at IS NOT NULL)
            AND ({ENDED} IS NULL OR started_at > {ENDED})
            THEN 'RETRY'
        WHEN coalesce(started_at >= received_at, started_at IS NOT NULL) THEN 'STARTED'
        WHEN received_at IS NOT NULL THEN 'RECEIVED'
        WHEN custom_at IS NOT NULL THEN 'STARTED'
        ELSE 'PENDING'
    END
"""
NEWEST = text("heard_at DESC"), text("id DESC")

tasks = Table(
    "celery_task_results_ext",
    metadata,
    Column("id", Text, primary_key=True),
    Column("task", Text),
    Column("queue", Text),
    # The hostname of the worker that sent the newest event; `worker_pid` is its process id. NULL there: the
    # event had none, or an earlier version wrote it.
    Column("worker", Text),
    Column("args", Text),
    Column("kwargs", Text),
    Column("retries", Integer),
    Column("result", Text),
    Column("exception", Text),
    Column("traceback", Text),
    Column("runtime", Double),
    Column("eta", Moment),
    Column("expires", Moment),
    Column("parent_id", Text),
    Column("root_id", Text),
    # The newest time of each type of event. A time in a row can only grow; the state follows from the times.
    Column("sent_at", Moment),
    Column("received_at", Moment),
    Column("started_at", Moment),
    Column("retried_at", Moment),
    Column("succeeded_at", Moment),
    Column("failed_at", Moment),
    Column("revoked_at", Moment),
    Column("rejected_at", Moment),
    # The oldest and the newest time of all its events, and the newest of those that a worker sent.
    required("heard_at", Moment),
    required("updated_at", Moment),
    Column("worker_at", Moment),
    required("state", Text, Computed(STATE, persisted=True)),
    Column("worker_pid", BigInteger),
    # The name of the scheduler's run that it belongs to, as the scheduler's task-sent event told it.
    Column("run", Text),
    # The id of the request (x-request-id) that had it sent, as the same event told it.
    Column("request_id", Text),
    # What the newest event of a failed try tells of its exception: the class without its module, empty if no
    # event told it, and the message.
    Column("exception_type", Text),
    Column("exception_message", Text),
    # What the newest task-revoked event tells: tasks.revocations.Revocation, and a signal as in "SIGTERM".
    Column("revocation", Text),
    Column("termination_signal", Text),
    # The time of its newest event when it was found nowhere any more.
    Column("vanished_at", Moment),
    # What was thought of it then: 'ORPHANED', 'LOST', or 'ENDED', which NULL stands for, too.
    Column("vanished_as", Text),
    # The state of the newest event of the application's own, and the time of the event.
    Column("custom_state", Text),
    Column("custom_at", Moment),
    # Its attempts before the newest one, at most 20, under microseconds since 1970 (tasks/attempts.py).
    Column("attempts", JSONB),
    # What `args` and `kwargs` show, encrypted, where they have secrets (tasks/sealed_arguments.py).
    Column("sealed_arguments", JSONB),
    Index("celery_task_results_ext_newest", *NEWEST),
    Index("celery_task_results_ext_state", "state", *NEWEST),
    Index("celery_task_results_ext_task", "task", *NEWEST),
    Index("celery_task_results_ext_queue", "queue", *NEWEST),
    # Most tasks had no exception.
    Index(
        "celery_task_results_ext_exception",
        *("exception_type", "state", *NEWEST),
        postgresql_where=text("exception_type IS NOT NULL"),
    ),
    # One index for the tasks of a hostname, and for those of one process of it: the tasks of its other
    # processes are passed over within the index.
    Index("celery_task_results_ext_worker", "worker", *NEWEST, "worker_pid"),
    # A task that was called from none is its own root; the primary key finds it.
    Index("celery_task_results_ext_root", "root_id", *NEWEST, postgresql_where=text("root_id <> id")),
    Index(
        "celery_task_results_ext_parent",
        "parent_id",
        *NEWEST,
        postgresql_where=text("parent_id IS NOT NULL"),
    ),
)

# The generations of tasks: that of number N is the table celery_task_results_N, once it is closed.
generations = Table(
    "celery_task_generations",
    metadata,
    Column("number", BigInteger, Identity(always=True), primary_key=True),
    required("began_at", Moment),
    # Its tasks may be as old as this: those that were there before there were generations.
    required("oldest_at", Moment),
    # NULL: the one that is written. No row of a closed one is changed: it is moved here first.
    Column("closed_at", Moment),
    Index(
        "celery_task_generations_open",
        text("(true)"),
        unique=True,
        postgresql_where=text("closed_at IS NULL"),
    ),
)

# Tasks that were revoked and are not known to have ended: workers that come are told.
revoked_tasks = Table(
    "celery_revoked_tasks",
    metadata,
    Column("task_id", Text, primary_key=True),
    required("terminate", Boolean),
    required("signal", Text),
    required("revoked_at", Moment),
    # When it is forgotten, whatever became of the task.
    required("expires_at", Moment),
)

# The search index (services.monitor.search). One row: up to which place in lists tasks are closed.
search = Table(
    "celery_task_search",
    metadata,
    Column("single", Boolean, primary_key=True, server_default=text("true")),
    required("closed_at", Moment),
    required("closed_id", Text),
    check("celery_task_search_single", "single"),
)

# The closed tasks up to a place, after that of the slice before. `is_full`: no more fit in. `first`: the
# number of its first task; those with lower numbers are in a slice that was made since.
slices = Table(
    "celery_task_slices",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    required("to_at", Moment),
    required("to_id", Text),
    required("tasks", Integer),
    required("first", Integer, server_default=text("0")),
    required("is_full", Boolean),
    UniqueConstraint("to_at", "to_id", name="celery_task_slices_place"),
)

# Which task a number of a slice is: in each row the tasks of so many numbers that follow each other.
slice_ids = Table(
    "celery_task_slice_ids",
    metadata,
    Column("slice", BigInteger, primary_key=True, autoincrement=False),
    Column("portion", Integer, primary_key=True),
    required("heard_ats", ARRAY(Moment)),
    required("ids", ARRAY(Text)),
)

# services.monitor.search.postings says what a block holds; `first` is its first key.
grams = Table(
    "celery_task_grams",
    metadata,
    Column("slice", BigInteger, primary_key=True, autoincrement=False),
    Column("first", BigInteger, primary_key=True),
    required("block", LargeBinary),
)

# Closed tasks that were written after they were closed: triggers note them. Each writing gives a new number.
late_writing = Sequence("celery_task_late_writing", metadata=metadata)
late = Table(
    "celery_task_late",
    metadata,
    Column("id", Text, primary_key=True),
    required("heard_at", Moment),
    required("writing", BigInteger, server_default=late_writing.next_value()),
    Index("celery_task_late_place", "heard_at", "id"),
)

# Times in which events were missed, and what has been found out about their tasks since.
gaps = Table(
    "celery_event_gaps",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    required("cause", Text),
    # From when until when events were missed.
    required("started_at", Moment),
    required("ended_at", Moment),
    # How many messages or events are known to be missed, at least. NULL: not known.
    Column("missed", BigInteger),
    required("state", Text, server_default="OPEN"),
    # Tasks of which the truth was found: an end in the result backend, or what a worker has.
    required("from_results", BigInteger, server_default=text("0")),
    required("from_workers", BigInteger, server_default=text("0")),
    # Tasks that have ended, and how is not known.
    required("not_repairable", BigInteger, server_default=text("0")),
    # Tasks that are still to be found out about, and what that waits for.
    required("undecided", BigInteger, server_default=text("0")),
    required("note", Text, server_default=""),
    # Whether the result backend was read; NULL: not yet.
    Column("results_read", Boolean),
    required("recorded_at", Moment, server_default=text("clock_timestamp()")),
    Column("repaired_at", Moment),
    # The monitor that repairs it, until then.
    Column("repairer", Uuid),
    Column("repairing_until", Moment),
    check("celery_event_gaps_state_check", "state IN ('OPEN', 'REPAIRED')"),
    check("celery_event_gaps_check", "(state = 'REPAIRED') = (repaired_at IS NOT NULL)"),
    Index("celery_event_gaps_newest", text("started_at DESC"), text("id DESC")),
    Index("celery_event_gaps_open", "ended_at", postgresql_where=text("state = 'OPEN'")),
)

# The monitors that listen or have listened: up to when what each heard is written.
listeners = Table(
    "celery_event_listeners",
    metadata,
    Column("id", Uuid, primary_key=True),
    required("heard_until", Moment),
    required("seen_at", Moment),
)

# The lives of the broker's data, each since a start of the server or since all was deleted. `kept_until`:
# what was published to the life before, up to then, is in this one. A time before all others: nothing is; one
# after all others: all but the last moments. NULL: not known. `saved_until`: the same for the next life.
broker_lives = Table(
    "celery_broker_lives",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("identity", Text, primary_key=True),
    required("found_at", Moment, server_default=text("clock_timestamp()")),
    Column("kept_until", Moment),
    required("saved_until", Moment),
)

# Workers that were deleted, for an hour: so all monitors know.
deleted_workers = Table(
    "celery_deleted_workers",
    metadata,
    Column("hostname", Text, primary_key=True),
    Column("pid", BigInteger, primary_key=True),
    required("deleted_at", Moment, server_default=text("clock_timestamp()")),
)

# The monitor's leases (services.kernel.leases): which replica holds each, and until when.
leases = Table(
    "celery_monitor_leases",
    metadata,
    Column("name", Text, primary_key=True),
    required("holder", Text),
    required("until", Moment),
    # The number of the holder's reign.
    required("epoch", BigInteger, server_default=text("0")),
)

# One row: up to where in the events totals and rows of tasks are written, and how often anything was.
place = Table(
    "celery_event_place",
    metadata,
    Column("single", Boolean, primary_key=True, server_default=text("true")),
    required("counted_to", ARRAY(BigInteger)),
    required("written_to", Text),
    required("commits", BigInteger),
    check("celery_event_place_single", "single"),
)

# The totals of all monitors; services.monitor.totals.tally says what a figure is.
totals = Table(
    "celery_event_totals",
    metadata,
    Column("figure", Text, primary_key=True),
    Column("label", Text, primary_key=True),
    Column("part", Text, primary_key=True),
    required("total", Double),
    # The number of the commit that changed it last.
    required("commit", BigInteger),
    Index("celery_event_totals_commit", "commit"),
)

# Tasks that the monitor sends itself: retries of others, and those that somebody runs by name.
sent_tasks = Table(
    "celery_sent_tasks",
    metadata,
    Column("task_id", Text, primary_key=True),
    # The task that it is a retry of; NULL: it was run by name.
    Column("retry_of", Text),
    required("state", Text, server_default="waiting"),
    # Where a retry's arguments came from (services.monitor.sending.arguments.Source).
    Column("source", Text),
    # Why it could not be sent.
    required("note", Text, server_default=""),
    required("actor", Text),
    Column("request_id", Text),
    # SHA-256 of the caller and the request with this id; NULL without one.
    Column("request_digest", LargeBinary),
    required("created_at", Moment, server_default=text("clock_timestamp()")),
    Column("ended_at", Moment),
    # The operation that retries it together with others; NULL: there is none.
    Column("operation_id", Uuid),
    check("celery_sent_tasks_state_check", "state IN ('waiting', 'sent', 'failed')"),
    Index("celery_sent_tasks_retry_of", "retry_of", unique=True, postgresql_where=text("state <> 'failed'")),
    Index(
        "celery_sent_tasks_request",
        "request_id",
        unique=True,
        postgresql_where=text("retry_of IS NULL AND request_id IS NOT NULL AND state <> 'failed'"),
    ),
    Index("celery_sent_tasks_age", "created_at"),
    Index(
        "celery_sent_tasks_waiting",
        "operation_id",
        "created_at",
        postgresql_where=text("state = 'waiting' AND operation_id IS NOT NULL"),
    ),
)

# Requests to retry many tasks, by the ids that their callers gave them.
retry_requests = Table(
    "celery_retry_requests",
    metadata,
    Column("request_id", Text, primary_key=True),
    # SHA-256 of the caller and the request.
    required("digest", LargeBinary),
    # NULL only within the transaction that begins the operation.
    Column("answer", LargeBinary),
    required("created_at", Moment, server_default=text("clock_timestamp()")),
)

# Queues of which no worker is to take messages.
paused_queues = Table(
    "celery_paused_queues",
    metadata,
    Column("queue", Text, primary_key=True),
    required("paused_at", Moment),
    required("subject", Text),
    required("reason", Text),
)

# Workers that were told to consume a queue no more, by a pause of it or by a halt, and have not been told to
# go on: what they are told then.
stopped_consumers = Table(
    "celery_stopped_consumers",
    metadata,
    Column("queue", Text, primary_key=True),
    Column("hostname", Text, primary_key=True),
    Column("pid", BigInteger, primary_key=True, autoincrement=False),
    required("exchange", Text),
    required("exchange_type", Text),
    required("routing_key", Text),
    required("stopped_at", Moment),
)

# One row: whether events of tasks are taken in. `stopped_at`: NULL while they are. `starting`: that
# was asked for again, and the time of the stop is no recorded gap yet.
collection = Table(
    "celery_event_collection",
    metadata,
    Column("single", Boolean, primary_key=True, server_default=text("true")),
    Column("stopped_at", Moment),
    required("stopped_by", Text, server_default=""),
    required("starting", Boolean, server_default=text("false")),
    check("celery_event_collection_single", "single"),
    check("celery_event_collection_check", "stopped_at IS NOT NULL OR NOT starting"),
)

# One row: whether new tasks are stopped. `shut_down`: workers are ended, too. `scheduler_sends`: what the
# scheduler was told last.
halt = Table(
    "celery_halt",
    metadata,
    Column("single", Boolean, primary_key=True, server_default=text("true")),
    Column("stopped_at", Moment),
    required("stopped_by", Text, server_default=""),
    required("shut_down", Boolean, server_default=text("false")),
    required("scheduler_sends", Boolean, server_default=text("true")),
    check("celery_halt_single", "single"),
    check("celery_halt_check", "stopped_at IS NOT NULL OR NOT shut_down"),
)

# Operations under way that drain, end or restart workers. `steps`: a JSON array, one for each worker.
halt_works = Table(
    "celery_halt_works",
    metadata,
    Column("operation", Uuid, primary_key=True),
    required("kind", Text),
    required("until", Moment),
    required("patience", Double),
    required("steps", JSONB),
)

# The measures of which values are kept, each with a subject: a queue, a task's name, a worker.
series = Table(
    "celery_monitoring_series",
    metadata,
    Column("id", Integer, Identity(always=True), primary_key=True),
    required("measure", Text),
    required("subject", Text),
    required("created_at", Moment, server_default=text("clock_timestamp()")),
    UniqueConstraint("measure", "subject", name="celery_monitoring_series_name"),
)

# The readings of the present hour, each of all series (services.monitor.snapshots.packing).
readings = Table(
    "celery_monitoring_readings",
    metadata,
    Column("taken_at", Moment, primary_key=True),
    required("points", LargeBinary),
)

# The values of one series in a block of time, in steps of so many seconds; `mean`: of those known.
snapshots = Table(
    "celery_monitoring_snapshots",
    metadata,
    Column("series", Integer, primary_key=True, autoincrement=False),
    Column("step", Integer, primary_key=True, autoincrement=False),
    Column("began_at", Moment, primary_key=True),
    required("mean", REAL),
    required("points", LargeBinary),
    Index("celery_monitoring_snapshots_age", "step", "began_at"),
)

# Rules that people made, and standing ones that somebody changed. `definition`: as `Rule.values` has it.
alert_rules = Table(
    "celery_alert_rules",
    metadata,
    Column("id", Text, primary_key=True),
    required("definition", JSONB),
    required("updated_at", Moment, server_default=text("clock_timestamp()")),
    required("updated_by", Text),
    # Of the request that made it.
    Column("request_id", Text),
    Column("request_digest", LargeBinary),
)

# Alerts that fire, and those that ended. What the rule said when an alert fired is copied.
alerts = Table(
    "celery_alerts",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    required("rule", Text),
    required("subject", Text),
    required("measure", Text),
    required("comparison", Text),
    required("threshold", Double),
    required("severity", Text),
    required("description", Text),
    required("labels", JSONB),
    required("runbook_url", Text),
    required("value", Double),
    required("worst", Double),
    required("last", Double),
    required("since", Moment),
    required("fired_at", Moment),
    Column("ended_at", Moment),
    required("end_reason", Text, server_default=""),
    required("acknowledged_by", Text, server_default=""),
    Column("acknowledged_at", Moment),
    required("acknowledge_note", Text, server_default=""),
    # It grows with each change that readers are told of.
    required("version", Integer, server_default=text("1")),
    Index("celery_alerts_firing", "rule", "subject", unique=True, postgresql_where=text("ended_at IS NULL")),
    Index("celery_alerts_newest", text("fired_at DESC"), text("id DESC")),
    Index("celery_alerts_ended", "ended_at", postgresql_where=text("ended_at IS NOT NULL")),
)

# Of which alerts nobody is told until when. `rule`, `subject_pattern`: empty for any.
alert_silences = Table(
    "celery_alert_silences",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    required("rule", Text),
    required("subject_pattern", Text),
    required("labels", JSONB),
    required("until", Moment),
    required("reason", Text),
    required("created_by", Text),
    required("created_at", Moment, server_default=text("clock_timestamp()")),
    Column("request_id", Text),
    Column("request_digest", LargeBinary),
    Index("celery_alert_silences_until", "until"),
    Index(
        "celery_alert_silences_request",
        "request_id",
        unique=True,
        postgresql_where=text("request_id IS NOT NULL"),
    ),
)

# What a channel is to be told of an alert. `next_at`: NULL once it is delivered or given up.
alert_deliveries = Table(
    "celery_alert_deliveries",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    required("alert", BigInteger, ForeignKey("celery_alerts.id", ondelete="CASCADE")),
    required("told_state", Text),
    required("channel", Text),
    required("created_at", Moment, server_default=text("clock_timestamp()")),
    Column("next_at", Moment),
    required("attempts", Integer, server_default=text("0")),
    required("error", Text, server_default=""),
    Column("delivered_at", Moment),
    UniqueConstraint("alert", "told_state", "channel", name="celery_alert_deliveries_told"),
    Index(
        "celery_alert_deliveries_waiting",
        "channel",
        "next_at",
        postgresql_where=text("next_at IS NOT NULL"),
    ),
    Index(
        "celery_alert_deliveries_undelivered",
        "created_at",
        postgresql_where=text("delivered_at IS NULL AND error <> ''"),
    ),
    Index("celery_alert_deliveries_newest", "channel", text("created_at DESC")),
)

outbox = outbox_table(metadata, "monitor")
