"""The scheduler: each due time becomes one message on the broker, once and on time.

Its rooms, top first; each may import only those below it (contracts in pyproject.toml):

api        the gRPC servicers; messages of the contract become values of the domain, and back
explain    why a schedule did or did not run: its history, each decision, what came of it, the next step
watch      WatchSchedules: the log of changes, and everyone who follows it
backfill   due times of the past, sent again at a chosen rate
manifests  schedules in files: read, compare, apply, export; taking over from another beat
catalogue  schedules as people change and list them
runs       what becomes of a run after it was sent: outcome, overlap, loss, retention
dispatch   claims what is due, decides, records, and brings it to the broker
config     the live configuration of all services, and its secrets
schedule   what a schedule is: its definition, its rows, the Celery message that it sends
timing     when a schedule is due; pure functions
"""
