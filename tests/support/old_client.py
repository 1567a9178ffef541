"""A program that speaks by the stubs of an older commit: reads calls from standard input, prints the answers.

It runs as a process of its own, with those stubs on its path (tests/support/old_stubs.py), and imports
nothing else of this repository.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import json_format


def answer_to(call: dict[str, Any], channel: grpc.Channel, token: str) -> dict[str, Any]:
    """The status with which a call ends, and the answer; of a stream, its first message."""
    messages = importlib.import_module(f"celeriac.{call['module']}_pb2")
    stubs = importlib.import_module(f"celeriac.{call['module']}_pb2_grpc")
    service = messages.DESCRIPTOR.services_by_name[call["service"]]
    method = service.methods_by_name[call["method"]]
    request = json_format.ParseDict(call["request"], getattr(messages, method.input_type.name)())
    stub = getattr(stubs, f"{call['service']}Stub")(channel)
    try:
        credentials = grpc.access_token_call_credentials(token)
        answer = getattr(stub, call["method"])(request, credentials=credentials, timeout=30)
        answer = next(answer) if method.server_streaming else answer
    except grpc.RpcError as error:
        failed: Any = error
        return {"code": failed.code().name, "message": failed.details()}
    told = json_format.MessageToDict(answer, preserving_proto_field_name=True)
    return {"code": "OK", "answer": told}


def main() -> None:
    given = json.load(sys.stdin)
    credentials = grpc.ssl_channel_credentials(*(Path(path).read_bytes() for path in given["files"]))
    with grpc.secure_channel(given["address"], credentials) as channel:
        answers = [answer_to(call, channel, given["token"]) for call in given["calls"]]
    json.dump({"stubs": importlib.import_module("celeriac").__file__, "answers": answers}, sys.stdout)


if __name__ == "__main__":
    main()
