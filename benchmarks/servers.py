"""The servers that benchmarks run on: the same real ones as the tests'."""

from tests.support.servers import Servers, temporary_servers

__all__ = ["Servers", "temporary_servers"]
