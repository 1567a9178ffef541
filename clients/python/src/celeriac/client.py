"""The client of a system: one object for all services. Its calls block; those of `celeriac.aio` do not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import grpc

from celeriac.calls.blocking import Calls
from celeriac.channel import open_channel_blocking
from celeriac.connection import connection
from celeriac.services import Services


class Client(Services):
    """Made by `connect()`. Several threads may use it; close it, or use it in a `with` statement."""

    def __init__(
        self, channel: grpc.Channel, target: str, metadata: Callable[[], list[tuple[str, str]]]
    ) -> None:
        self.target = target
        self._channel = channel
        self._calls = Calls(channel, target, metadata)

    def close(self) -> None:
        """Ends the connection, and all calls that are under way."""
        self._channel.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def connect(
    target: str | None = None,
    *,
    token: str | Callable[[], str] | None = None,
    ca: str | Path | None = None,
    context: str | None = None,
) -> Client:
    """Returns a client of the system whose gateway is at `target` ("127.0.0.1:8443").

        with celeriac.connect() as client:
            for schedule in client.schedules.list():
                print(schedule.id, schedule.next_run_time)

    What is not given comes from the environment (CELERIAC_TARGET, CELERIAC_TOKEN, CELERIAC_CA), or else from
    a context that `celeriac login` wrote: that named by `context`, or the current one. `token` may be a
    function, which is called for each call, so that it can give a renewed one. `ca` is a PEM file of the
    authority that signed the gateway's certificate.

    Nothing is sent before the first call. Raises ValueError, with a sentence, if something can't be right.

    A call without a `deadline` ends with DeadlineExceeded after the time that the contract gives to its
    method (15 s for most). Calls that change nothing, and changes with a `request_id`, are sent again if the
    connection breaks; the id is filled in where you give none. Other changes are sent once, and the error
    says by `outcome_unknown` that they may have been carried out.
    """
    found = connection(target, token, ca, context)
    channel = open_channel_blocking(found.target, grpc.ssl_channel_credentials(found.ca))
    return Client(channel, found.target, found.metadata)
