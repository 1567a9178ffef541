"""What benchmarks ask the scheduler's database; the names of its tables are written here only."""

SCHEDULES = "celery_schedules"
# Runs with `state` and `published_at` as people see them.
RUNS = "celery_schedule_runs_seen"

EMPTY = "TRUNCATE celery_schedules, celery_schedule_runs, celery_schedule_batches"
PUBLISHED = f"SELECT count(*) FROM {RUNS} WHERE state = 'published'"
# $1: a due time.
PUBLISHED_OF = f"{PUBLISHED} AND due_at = $1"
# Seconds from due to published. $1: shares of the runs, from 0 to 1.
LATENESS = f"""
    SELECT extract(epoch FROM unnest(
        percentile_disc($1::float8[]) WITHIN GROUP (ORDER BY published_at - due_at)))
    FROM {RUNS} WHERE state = 'published'
"""
# $2: a due time.
LATENESS_OF = f"{LATENESS} AND due_at = $2"
# $1: a schedule, $2: a due time.
PUBLISHED_AT = (
    f"SELECT published_at FROM {RUNS} WHERE schedule_id = $1 AND due_at = $2 AND state = 'published'"
)
