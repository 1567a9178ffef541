"""Client of Celeriac: `connect()` gives one object for all services of a system.

    import celeriac

    with celeriac.connect() as client:
        for schedule in client.schedules.list():
            print(schedule.id, schedule.next_run_time)

`celeriac.aio.connect()` is the same for asyncio. The generated stubs are in `celeriac.<area>.v1`, for who
wants grpc's own: `connect_blocking()` and `celeriac.channel.connect()` open a channel for them. grpc is
imported with the first use, so that `import celeriac` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from celeriac.exceptions import (
    Aborted,
    AlreadyExists,
    Cancelled,
    DataLoss,
    DeadlineExceeded,
    Error,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    NotFound,
    OutOfRange,
    PermissionDenied,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
    Unimplemented,
    Unknown,
)

if TYPE_CHECKING:
    from celeriac import aio
    from celeriac.channel import connect_blocking
    from celeriac.client import Client, connect
    from celeriac.gap import Gap

__all__ = [
    "Aborted",
    "AlreadyExists",
    "Cancelled",
    "Client",
    "DataLoss",
    "DeadlineExceeded",
    "Error",
    "FailedPrecondition",
    "Gap",
    "Internal",
    "InvalidArgument",
    "NotFound",
    "OutOfRange",
    "PermissionDenied",
    "ResourceExhausted",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "Unknown",
    "aio",
    "connect",
    "connect_blocking",
]

LATE = {
    "Client": "celeriac.client",
    "Gap": "celeriac.gap",
    "connect": "celeriac.client",
    "connect_blocking": "celeriac.channel",
}


def __getattr__(name: str) -> Any:
    if name == "aio":
        return import_module("celeriac.aio")
    if name in LATE:
        return getattr(import_module(LATE[name]), name)
    raise AttributeError(f"celeriac has no {name!r}")
