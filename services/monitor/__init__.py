"""The monitor: what runs, what waits, which workers there are, and whether all is well.

Its rooms, top first; each may import only those below it (contracts in pyproject.toml):

api        the gRPC servicers, conversion, and what Prometheus reads
watch      the figures of the moment, and the stream of what happens, at the pace of each reader
system     the health of each component
intake     Celery's events: read from the broker, decoded, counted, written to the database
figures    counters, rates and runtimes in bounded memory
queues     the lengths of the broker's queues
workers    which workers are online, and commands to them
tasks      tasks as their events tell of them: state, table in memory, rows, retention
"""
