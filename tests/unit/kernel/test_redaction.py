"""What may be kept of a request."""

from __future__ import annotations

from services.kernel.redaction import redacted
from tests.support.probe import Text


def test_sensitive_fields_are_replaced_and_others_kept() -> None:
    request = Text(text="帳單", secret="4111 1111 1111 1111")
    assert redacted(request) == {"text": "帳單", "secret": "[redacted]"}
    assert request.secret == "4111 1111 1111 1111"


def test_an_overlong_request_is_replaced_by_its_digest() -> None:
    kept = redacted(Text(text="x" * 100_000))
    assert kept["cut"] is True
    assert kept["bytes"] > 100_000
    assert len(kept["sha256"]) == 64
