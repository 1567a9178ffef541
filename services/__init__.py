"""Celeriac's services, one folder each, side by side: none imports another (contracts in pyproject.toml).

kernel      what every service stands on: errors, identity, settings, logging, database, broker, gRPC server
scheduler   what is due, dispatched once and on time; the live configuration
embedder    texts into vectors, search by meaning, and what people ask
monitor     what runs, what waits, which workers there are, and whether all is well
audit       who did what, in a log that shows any change made to it afterwards
door        what a browser needs: pages, sign-in; it speaks HTTP, and answers no gRPC calls
"""

# The one list of the services that answer gRPC calls: ports, certificates, gateway, rights and tests read it.
SERVICES = ("scheduler", "embedder", "monitor", "audit")
# The one process behind the gateway that speaks HTTP.
DOOR = "door"
# All that have tables, a role in the database and an audit outbox of their own.
STORING = (*SERVICES, DOOR)
# Which of them answers each package of the contracts: its own, and those named after what they are about.
ANSWERED_BY = {f"celeriac.{service}.v1": service for service in SERVICES} | {
    "celeriac.operations.v1": "monitor",
    "celeriac.access.v1": "audit",
}
