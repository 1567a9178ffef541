"""Streams of a service, read beside the test."""

from __future__ import annotations

import threading
from typing import Any, Generic, TypeVar

import grpc

Message = TypeVar("Message")


class StreamReader(Generic[Message]):
    """Reads a stream in a thread, and keeps all that came."""

    def __init__(self, stream: Any) -> None:
        self.seen: list[Message] = []
        self.error: Any = None
        self._stream = stream
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        try:
            for message in self._stream:
                self.seen.append(message)
        except grpc.RpcError as error:
            self.error = error

    def end(self) -> Any:
        self._stream.cancel()
        return self.await_end()

    def await_end(self) -> Any:
        """The error with which the stream ended; None when it ended well."""
        self._thread.join(30)
        assert not self._thread.is_alive()
        return self.error
