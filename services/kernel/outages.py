"""The errors of the database that pass by themselves, and what each group of them means.

A loop goes on after `DATABASE_ERRORS`. All other errors that the server or the driver raises are faults of a
statement or of its values (a wrong type, a violated constraint, a missing column): our own mistakes, which
must be as loud as any other exception.
"""

from __future__ import annotations

import asyncpg

from services.kernel.logged_errors import Loggable


class NotLetIn(Loggable):
    """The server refuses the connection until a person mends the cause: password, pg_hba.conf, rights.

    No statement of ours was executed, so the fault is not in our code.
    """


# The database is unavailable, or was restarted while a connection was idle. `Database` and `Sessions` raise
# ConnectionError in place of any other OSError: an OSError that comes from elsewhere is no outage.
AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    # The server ended the connection because its transaction was idle (IDLE_SECONDS), or took too long.
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.TransactionTimeoutError,
    ConnectionError,
    TimeoutError,
)
# Another transaction holds a lock that this one needs. Nothing was done: the same may be tried again.
HELD_UP = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError)
# The server has no room to store what it was told to. The transaction is rolled back; reads still work.
DISK_FULL = (asyncpg.DiskFullError,)
# What passes by itself: the database is away, is restarting, or is at its limits, or others hold a lock.
DATABASE_ERRORS = (
    *AWAY,
    *HELD_UP,
    NotLetIn,
    # Disk, memory, connections, temporary files.
    asyncpg.InsufficientResourcesError,
    # The server stops or was stopped, or the statement took too long or was cancelled by an administrator.
    asyncpg.OperatorInterventionError,
    # Two transactions were in each other's way.
    asyncpg.TransactionRollbackError,
    # A migration changed a table while a connection had a statement prepared; the next one is prepared anew.
    asyncpg.InvalidCachedStatementError,
    # The server can't read or write its files.
    asyncpg.PostgresIOError,
)
# Errors of a server that takes no connections for now, from any client: it starts, stops, or has no room; the
# database is closed (ALLOW_CONNECTIONS false), or it is being dropped, restored or renamed. They mean this
# only when a connection is opened: a statement that raises one of them may have a fault.
CLOSED = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.ObjectNotInPrerequisiteStateError,
    asyncpg.InvalidCatalogNameError,
)
LOST = "the connection to the database was lost"
STANDBY = "the server is a standby, which can't be written to"
