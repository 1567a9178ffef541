"""What a failed call is told as: a server's own words, and for gRPC's own words plainer ones."""

from __future__ import annotations

import grpc.aio

# A server of ours, and the gateway, tell the fault in these details too; gRPC's own errors have none.
STATUS_DETAILS = "grpc-status-details-bin"
PLAIN = {
    grpc.StatusCode.UNAVAILABLE: "it can't be reached now",
    grpc.StatusCode.DEADLINE_EXCEEDED: "it did not answer in time",
}


def in_words(error: grpc.aio.AioRpcError) -> str:
    """Returns the message of the server; where gRPC itself failed, a few words in place of its addresses."""
    told = any(name == STATUS_DETAILS for name, _ in error.trailing_metadata() or ())
    if told and error.details():
        return str(error.details())
    return PLAIN.get(error.code(), f"the call failed ({error.code().name})")
