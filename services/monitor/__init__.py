"""The monitor: which tasks run and wait, which workers are online, and whether each component is healthy.

It also answers for the long work of all services.

Its rooms, top first; each may import only those below it (contracts in pyproject.toml):

serving     the command `serve`: builds the gRPC process, part by part, and runs it
relaying    the command `relay`: the process that keeps events for those that serve
api         the gRPC servicers, and conversion
exposing    what Prometheus reads: families of metrics, and the text of a scrape
alerts      rules about measures: when one fires, who acknowledged it, and who is told
snapshots   measures kept for charts: every 10 seconds, thinned as they age
measuring   the measures: named values of the system, queues, tasks and workers, taken every few seconds
sending     sends tasks: retries of those that have ended, and tasks by name
gaps        times in which events were missed: recorded, and repaired by what the backend and workers tell
halting     new tasks stopped and resumed; workers drained, ended, restarted
watch       the current figures, and the stream of changes, at the pace of each reader
system      the health of each component
intake      Celery's events: kept by the relay, read, decoded, counted, written to the database
messages    the messages that wait in queues: looked at, deleted, moved, purged; and how fast they come and go
figures     counters, rates and runtimes in bounded memory
queues      the lengths of the broker's queues
totals      what all monitors have counted since ever, in a table, and what this one has to add
search      the index that makes a search in many tasks quick
workers     which workers are there, and commands to them
operations  the long work of all services: lists, the stream of changes, requests to cancel
tasks       tasks, derived from their events: state, table in memory, rows, retention
"""
