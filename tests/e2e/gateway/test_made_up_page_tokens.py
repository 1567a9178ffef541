"""Every list refuses a place that it never wrote, also in a token that is bound to the right request."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import grpc
import pytest
from google.protobuf.message_factory import GetMessageClass

from deploy.envoy.contracts import installed_contracts, methods_of
from deploy.standalone.tokens import LocalIssuer
from services.kernel.grpc.page_tokens import digest_of
from services.kernel.pages import encode_page_token
from tests.support.calls import fields_at_fault
from tests.support.contract_server import METHODS as DESCRIPTORS
from tests.support.processes import ServiceProcess

LISTS = {
    method.path: method.service
    for method in methods_of(installed_contracts())
    if "page_token" in DESCRIPTORS[method.path].input_type.fields_by_name
}
PLACES = {
    "no base64": "@@",
    "no JSON": "abcd",
    "a list": "W10",
    "nothing": encode_page_token({}),
    "numbers": encode_page_token(dict.fromkeys(("after", "at", "id", "due", "name", "key", "seq"), 1)),
    "texts": encode_page_token(dict.fromkeys(("after_", "at", "before", "due", "seq", "revision"), "x")),
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("path", LISTS)
def test_a_made_up_place_is_refused_by_its_field(
    path: str, place: str, all_services: Mapping[str, ServiceProcess], tokens: LocalIssuer
) -> None:
    method = DESCRIPTORS[path]
    request: Any = GetMessageClass(method.input_type)()
    content = digest_of(path, request) + place.encode()
    request.page_token = base64.urlsafe_b64encode(content).rstrip(b"=").decode()
    with all_services[LISTS[path]].channel() as channel:
        call: Any = channel.unary_unary(path, type(request).SerializeToString)
        credentials = grpc.access_token_call_credentials(tokens.mint("super_admin"))
        refused = fields_at_fault(lambda sent: call(sent, credentials=credentials, timeout=60), request)
    assert "page_token" in refused
