"""Client of Celeriac: generated, typed stubs in `celeriac.<area>.v1`, and `connect()` to open a channel."""

from celeriac.channel import connect, connect_blocking

__all__ = ["connect", "connect_blocking"]
