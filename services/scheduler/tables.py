"""The scheduler's tables, for tests: they compare the migrated database with this description.

The running scheduler does not load SQLAlchemy (docs/decisions/scheduler-memory.md), so no other module of it
imports this one.
"""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from services.kernel.tables import Moment, TransactionId, check, new_metadata, outbox_table, required

metadata = new_metadata()

# Compared as bytes, not by the database's collation: this halves the cost of finding a row by its id.
ScheduleId = Text(collation="C")


def only_row() -> Column[bool]:
    """The primary key of a table that has one row; it can only be true."""
    return Column("one", Boolean, primary_key=True, server_default=text("true"))


schedules = Table(
    "celery_schedules",
    metadata,
    Column("id", ScheduleId, primary_key=True),
    # The task that is sent.
    required("task", Text),
    required("args_json", Text),
    required("kwargs_json", Text),
    required("queue", Text),
    required("priority", SmallInteger),
    Column("expires", Double),
    Column("soft_time_limit", Double),
    Column("time_limit", Double),
    required("headers", JSONB),
    # The timing: one of crontab, interval, once and solar.
    Column("crontab", Text),
    Column("interval_seconds", Double),
    Column("anchor", Moment),
    Column("once_at", Moment),
    Column("solar_event", Text),
    Column("latitude", Double),
    Column("longitude", Double),
    required("time_zone", Text),
    Column("start_at", Moment),
    Column("end_at", Moment),
    Column("max_runs", BigInteger),
    required("jitter_seconds", Double, server_default=text("0")),
    required("misfire", Text, server_default="run_once"),
    required("misfire_window_seconds", Double, server_default=text("3600")),
    required("overlap", Text, server_default="allow"),
    required("resend_lost", Boolean, server_default=text("false")),
    # NULL: it goes on, however its runs end.
    Column("pause_after_failures", Integer),
    required("description", Text),
    required("labels", JSONB),
    required("paused", Boolean),
    required("pause_note", Text),
    # What the scheduler itself keeps.
    required("version", BigInteger, server_default=text("1")),
    required("run_count", BigInteger, server_default=text("0")),
    Column("next_run_at", Moment),
    # The due time that is sent at next_run_at; NULL when the two are the same, because no jitter is added.
    Column("next_due_at", Moment),
    Column("last_run_at", Moment),
    required("created_at", Moment, server_default=text("now()")),
    required("updated_at", Moment, server_default=text("now()")),
    # That of the task ids of its runs; NULL: the one that all older schedules have in common.
    Column("task_namespace", LargeBinary, server_default=text("uuid_send(gen_random_uuid())")),
    check("celery_schedules_check1", "(interval_seconds IS NULL) = (anchor IS NULL)"),
    check("celery_schedules_max_runs_check", "max_runs > 0"),
    check("celery_schedules_pause_after_failures_check", "pause_after_failures > 0"),
    check("celery_schedules_jitter_seconds_check", "jitter_seconds >= 0"),
    check("celery_schedules_misfire_check", "misfire IN ('skip', 'run_once', 'run_each')"),
    check("celery_schedules_overlap_check", "overlap IN ('allow', 'skip', 'queue', 'cancel')"),
    check("one_timing", "num_nonnulls(crontab, interval_seconds, once_at, solar_event) = 1"),
    check(
        "solar_place",
        "(solar_event IS NULL) = (latitude IS NULL) AND (solar_event IS NULL) = (longitude IS NULL)",
    ),
    Index("celery_schedules_due", "next_run_at", postgresql_where=text("next_run_at IS NOT NULL")),
)

facets = Table(
    "celery_schedule_facets",
    metadata,
    # A hash of the task, the queue or a label. Hashes may collide, so a query that finds a schedule by its
    # hash also compares the value in the schedule.
    Column("facet", BigInteger, primary_key=True, autoincrement=False),
    Column("schedule_id", Text, primary_key=True),
)

# A row for each deletion of schedules, under a hash of the id and of each label (bucket). The mark of the row
# with bucket -1 changes when old rows are removed.
deletions = Table(
    "celery_schedule_deletions",
    metadata,
    Column("seq", BigInteger, Identity(always=True), primary_key=True),
    required("bucket", Integer),
    required("mark", Uuid, server_default=text("gen_random_uuid()")),
    required("deleted_at", Moment, server_default=text("now()")),
    Index("celery_schedule_deletions_bucket", "bucket", "seq"),
    Index("celery_schedule_deletions_age", "deleted_at"),
)

batches = Table(
    "celery_schedule_batches",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    required("recorded_at", Moment, server_default=text("now()")),
    # NULL until the batch is recorded as published.
    Column("published_at", Moment),
    Index("celery_schedule_batches_unpublished", "id", postgresql_where=text("published_at IS NULL")),
    Index("celery_schedule_batches_age", "recorded_at"),
)

# A trigger deletes the runs of a deleted schedule. There is no foreign key: its check would cost as much as
# the insertion of a run.
runs = Table(
    "celery_schedule_runs",
    metadata,
    Column("schedule_id", ScheduleId, primary_key=True),
    Column("due_at", Moment, primary_key=True),
    required("state", Text),
    required("reason", Text),
    Column("request_id", Text),
    # SHA-256 of the caller and the request with this id; NULL without one.
    Column("request_digest", LargeBinary),
    required("recorded_at", Moment, server_default=text("now()")),
    Column("batch_id", BigInteger),
    # The backfill that sends the run; the time to expire then counts from the sending, not the due time.
    Column("backfill_id", Text),
    # The run may not overlap with other runs of its schedule.
    required("exclusive", Boolean, server_default=text("false")),
    # The state of Celery in which the task ended, as the monitor reports it; NULL until it does.
    Column("outcome", Text),
    Column("runtime", Double),
    Column("error", Text),
    Column("ended_at", Moment),
    # That of its schedule or of its backfill, when it was recorded. With it, the run's task id is known.
    Column("task_namespace", LargeBinary),
    # The version of its schedule when it was recorded. NULL: an earlier version of the scheduler recorded it.
    Column("schedule_version", BigInteger),
    # The request id of the call that asked for it, for the task's log lines. NULL: it was due.
    Column("call_id", Text),
    check("celery_schedule_runs_state_check", "state IN ('waiting', 'batched', 'skipped', 'lost')"),
    check("celery_schedule_runs_check", "state <> 'batched' OR batch_id IS NOT NULL"),
    Index("celery_schedule_runs_newest", text("due_at DESC"), text("schedule_id DESC")),
    Index(
        "celery_schedule_runs_failed",
        text("due_at DESC"),
        text("schedule_id DESC"),
        postgresql_where=text("outcome <> 'SUCCESS'"),
    ),
    Index(
        "celery_schedule_runs_unsent",
        text("due_at DESC"),
        text("schedule_id DESC"),
        postgresql_where=text("state IN ('lost', 'skipped', 'waiting')"),
    ),
    Index("celery_schedule_runs_waiting", "recorded_at", postgresql_where=text("state = 'waiting'")),
    Index(
        "celery_schedule_runs_open",
        "batch_id",
        postgresql_where=text("state = 'batched' AND outcome IS NULL"),
    ),
    Index(
        "celery_schedule_runs_exclusive",
        "schedule_id",
        "due_at",
        postgresql_where=text("exclusive AND outcome IS NULL AND state IN ('waiting', 'batched')"),
    ),
    Index(
        "celery_schedule_runs_request",
        "schedule_id",
        "request_id",
        unique=True,
        postgresql_where=text("request_id IS NOT NULL"),
    ),
)

backfills = Table(
    "celery_schedule_backfills",
    metadata,
    Column("id", Text, primary_key=True),
    required("schedule_id", ScheduleId),
    required("start_at", Moment),
    required("end_at", Moment),
    required("newest_first", Boolean),
    # Runs a second.
    required("rate", Double),
    required("actor", Text),
    Column("request_id", Text),
    # SHA-256 of the caller and the request with this id; NULL without one.
    Column("request_digest", LargeBinary),
    required("state", Text, server_default="running"),
    required("note", Text, server_default=""),
    # The due times to send, in this order, as computed when the backfill began. Emptied when it ends.
    required("due_at", ARRAY(Moment)),
    required("run_count", Integer),
    Column("first_due_at", Moment),
    Column("last_due_at", Moment),
    # How many of due_at are done: sent, or passed over because they already had a run.
    required("handled", Integer, server_default=text("0")),
    required("sent", Integer, server_default=text("0")),
    required("next_at", Moment, server_default=text("now()")),
    required("created_at", Moment, server_default=text("now()")),
    Column("ended_at", Moment),
    # Its operation in celery_operations, which triggers keep up to date.
    required("operation_id", Uuid, server_default=text("gen_random_uuid()")),
    # The request id of the call that began it, for the log lines of its tasks.
    Column("call_id", Text),
    check("celery_schedule_backfills_rate_check", "rate > 0"),
    check("celery_schedule_backfills_state_check", "state IN ('running', 'done', 'cancelled')"),
    Index(
        "celery_schedule_backfills_running",
        "schedule_id",
        unique=True,
        postgresql_where=text("state = 'running'"),
    ),
    Index("celery_schedule_backfills_next", "next_at", postgresql_where=text("state = 'running'")),
    Index("celery_schedule_backfills_operation", "operation_id", unique=True),
    Index("celery_schedule_backfills_newest", "schedule_id", text("created_at DESC"), text("id DESC")),
    Index(
        "celery_schedule_backfills_request",
        "schedule_id",
        "request_id",
        unique=True,
        postgresql_where=text("request_id IS NOT NULL"),
    ),
)

changes = Table(
    "celery_schedule_changes",
    metadata,
    # The transaction that made the change, so that readers notice transactions that commit late. The changes
    # of one transaction are ordered by position.
    Column("txid", TransactionId, primary_key=True, server_default=text("pg_current_xact_id()")),
    Column("position", BigInteger, Identity(always=True), primary_key=True),
    required("recorded_at", Moment, server_default=text("clock_timestamp()")),
    required("kind", Text),
    # Several when one statement changed several. Their new state is read when the change is sent to watchers.
    Column("schedule_ids", ARRAY(Text)),
    # The due times of runs; each belongs to the schedule at the same place in schedule_ids.
    Column("due_at", ARRAY(Moment)),
    # A batch of runs that was published (kind 'batch'), or that stays unpublished (kind 'unpublished').
    Column("batch_id", BigInteger),
    # A backfill of the schedule in schedule_ids.
    Column("backfill_id", Text),
    # The old values that filters use, of the schedules for which they changed. NULL: unknown.
    Column("before", JSONB),
    check(
        "celery_schedule_changes_kind_check",
        "kind IN ('created', 'updated', 'deleted', 'runs', 'batch', 'unpublished', 'backfill')",
    ),
    Index("celery_schedule_changes_age", "recorded_at"),
    Index(
        "celery_schedule_changes_unpublished",
        "batch_id",
        unique=True,
        postgresql_where=text("kind = 'unpublished'"),
    ),
)

# Up to which transaction old changes were deleted: the changes of all later transactions are complete.
changes_trimmed = Table(
    "celery_schedule_changes_trimmed",
    metadata,
    only_row(),
    required("txid", TransactionId),
    check("celery_schedule_changes_trimmed_one_check", "one"),
)

# Which replica holds each lease, and until when.
leases = Table(
    "celery_schedule_leases",
    metadata,
    Column("name", Text, primary_key=True),
    required("holder", Text),
    required("until", Moment),
    # The number of the holder's reign.
    required("epoch", BigInteger, server_default=text("0")),
)

# The identity of the broker that runs were published to. It shows when the broker has lost its data.
broker = Table(
    "celery_schedule_broker",
    metadata,
    only_row(),
    # A value that the scheduler stores on the broker, which is lost together with the broker's data.
    required("identity", Text),
    required("seen_at", Moment, server_default=text("now()")),
    # When another identity was found; NULL again once the lost runs are marked.
    Column("lost_at", Moment),
    check("celery_schedule_broker_one_check", "one"),
)

config_revisions = Table(
    "celery_system_config_revisions",
    metadata,
    # In the order in which the revisions were made: writers hold a lock.
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    required("key", Text),
    required("change", Text),
    required("is_set", Boolean),
    # A set value is in `value` in clear text, or in `sealed` encrypted, together with its wrapped data key.
    Column("value", JSONB),
    Column("sealed", JSONB),
    # The previous revision of the same configuration key.
    Column("previous", BigInteger, ForeignKey("celery_system_config_revisions.revision")),
    Column("rolled_back_to", BigInteger, ForeignKey("celery_system_config_revisions.revision")),
    required("actor", Text),
    required("comment", Text),
    Column("request_id", Text),
    required("created_at", Moment, server_default=text("now()")),
    check("celery_system_config_revisions_change_check", "change IN ('set', 'reset', 'rollback')"),
    check("celery_system_config_revisions_check", "num_nonnulls(value, sealed) = is_set::int"),
    Index("celery_system_config_revisions_key", "key", text("revision DESC")),
    Index(
        "celery_system_config_revisions_request",
        "key",
        "request_id",
        unique=True,
        postgresql_where=text("request_id IS NOT NULL"),
    ),
)

# The value in force of each key that was ever set. A sensitive value is stored only in its revision.
config = Table(
    "celery_system_config",
    metadata,
    Column("key", Text, primary_key=True),
    required("is_set", Boolean),
    Column("value", JSONB),
    required("revision", BigInteger, ForeignKey("celery_system_config_revisions.revision"), unique=True),
    required("updated_by", Text),
    required("updated_at", Moment, server_default=text("now()")),
)

# Requests that have had their effect, by the ids that their callers gave them. They are kept for a day.
requests = Table(
    "celery_schedule_requests",
    metadata,
    # Where the id is unique, for example "CreateSchedule of schedules/cleanup-cache-daily".
    Column("scope", Text, primary_key=True),
    Column("request_id", Text, primary_key=True),
    # SHA-256 of the caller and the request.
    required("digest", LargeBinary),
    # Set where a repeated request gets the same answer, and not the present state of what it made.
    Column("answer", LargeBinary),
    required("created_at", Moment, server_default=text("now()")),
    Index("celery_schedule_requests_age", "created_at"),
)

# What each schedule was, from when on, and who changed it. Triggers write it (migration 0024).
history = Table(
    "celery_schedule_history",
    metadata,
    Column("schedule_id", ScheduleId, primary_key=True),
    Column("number", BigInteger, Identity(always=True), primary_key=True),
    # 'found': the schedule is older than this table, and what it was before is not known.
    required("kind", Text),
    # Empty: somebody, by SQL.
    required("actor", Text),
    # The columns that were changed.
    required("fields", ARRAY(Text)),
    # Columns of celery_schedules: all that decide when it is due, whether, and on which queue.
    required("definition", JSONB),
    # It was so until the next row of the schedule.
    required("since", Moment),
    check("celery_schedule_history_kind_check", "kind IN ('found', 'created', 'updated')"),
    Index("celery_schedule_history_age", "since"),
)

outbox = outbox_table(metadata, "scheduler")
