"""Eighth step: makes the page tokens of lists opaque, and binds each to the request that it was given for.

A handler encodes the position at which the next page begins (services/kernel/pages.py). The caller gets it
together with a digest of the method and of all fields of the request but `page_token` and
`page_size`. So a token that comes back with another filter or order is refused. Without this check the
caller would get a page of a list that nobody asked for, with entries left out.

The digest is no signature: a handler checks the position in a token as it checks any input.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from google.protobuf.message import Message

from services.kernel.errors import FieldFault, Invalid
from services.kernel.grpc.call import Call
from services.kernel.pages import invalid_page_token

DIGEST_BYTES = 16
# The fields of a request that may differ from one page to the next.
FREE = ("page_token", "page_size")

OTHER_REQUEST = FieldFault(
    "page_token",
    "was given for a request with another filter, order or parent",
    "the fields of the request that the token was given for, or an empty page_token for a first page",
)


@asynccontextmanager
async def bind_page_tokens(call: Call) -> AsyncIterator[None]:
    request: Any = call.request
    if request is not None and "page_token" in request.DESCRIPTOR.fields_by_name:
        digest = digest_of(call.method, request)
        if request.page_token:
            request.page_token = _opened(request.page_token, digest)
        call.outgoing.append(functools.partial(_sealed, digest))
    yield


def digest_of(method: str, request: Any) -> bytes:
    """Returns a hash of all that a token is bound to. It is the same in every process."""
    bound = type(request)()
    bound.CopyFrom(request)
    for field in FREE:
        bound.ClearField(field)
    content = method.encode() + b"\0" + bound.SerializeToString(deterministic=True)
    return hashlib.sha256(content).digest()[:DIGEST_BYTES]


def _sealed(digest: bytes, response: Any) -> Message:
    """Puts the caller's form of the token into the answer, in place: a list's answer has one reader."""
    if response.next_page_token:
        token = base64.urlsafe_b64encode(digest + response.next_page_token.encode())
        response.next_page_token = token.rstrip(b"=").decode()
    answer: Message = response
    return answer


def _opened(token: str, digest: bytes) -> str:
    """Returns the handler's own token; raises `Invalid` for one of another request, or of no list."""
    try:
        content = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        position = content[DIGEST_BYTES:].decode("ascii")
    except (binascii.Error, ValueError) as error:
        raise invalid_page_token() from error
    if not position:
        raise invalid_page_token()
    if content[:DIGEST_BYTES] != digest:
        raise Invalid([OTHER_REQUEST])
    return position
