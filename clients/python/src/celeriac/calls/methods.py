"""What the contract says of a method, read from its descriptor once."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from google.protobuf.message_factory import GetMessageClass

from celeriac.access.v1 import policy_pb2
from celeriac.access.v1.repeatable import READS
from celeriac.calls.fields import is_repeated
from celeriac.calls.request import fill
from celeriac.calls.views import view

if TYPE_CHECKING:
    from google.protobuf.descriptor import MethodDescriptor

# The gateway's limit of a unary method whose policy names none (celeriac.access.v1.Policy).
UNARY_SECONDS = 15.0


class Method(NamedTuple):
    path: str
    request_class: Any
    response_class: Any
    # The longest that a call may take; None for a stream.
    seconds: float | None
    # Whether it changes something.
    changes: bool
    # What grpc calls its shape: "unary_unary", "unary_stream" or "stream_unary".
    shape: str

    def request(self, values: Mapping[str, Any]) -> Any:
        """Returns the request. Raises ValueError or TypeError for a value that does not fit."""
        made = self.request_class()
        fill(made, values)
        return made

    def items_field(self) -> Any:
        """Of a list: the descriptor of the field that has the items."""
        [found] = [field for field in self.response_class.DESCRIPTOR.fields if is_repeated(field)]
        return found

    def result(self, answer: Any, calls: Any) -> Any:
        """Returns what the caller gets: the one message of an answer that has nothing else, or the answer."""
        fields = answer.DESCRIPTOR.fields
        if not fields:
            return None
        if len(fields) == 1 and fields[0].message_type is not None and not is_repeated(fields[0]):
            return view(getattr(answer, fields[0].name), calls)
        return view(answer, calls)


def method_at(path: str, module: str) -> Method:
    """Returns the method at "/package.Service/Method"; `module` is that of its generated messages."""
    _, service, name = path.split("/")
    file = importlib.import_module(module).DESCRIPTOR
    method: MethodDescriptor = file.services_by_name[service.rpartition(".")[2]].methods_by_name[name]
    options: Any = method.GetOptions()
    policy = options.Extensions[policy_pb2.policy]
    streams = bool(method.client_streaming or method.server_streaming)
    return Method(
        path,
        GetMessageClass(method.input_type),
        GetMessageClass(method.output_type),
        policy.timeout_seconds or (None if streams else UNARY_SECONDS),
        path not in READS,
        "_".join(
            ("unary", "stream")[bool(each)] for each in (method.client_streaming, method.server_streaming)
        ),
    )
