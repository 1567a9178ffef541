"""The one call of the command that is no gRPC: a one-time link from the door, by HTTP behind the same
gateway.
"""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from typing import Any

from celeriac.cli.failures import DENIED, FAILED, UNAVAILABLE, Problem
from celeriac.connection import connection

SECONDS = 15.0


def one_time_link(target: str, token: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns `link` and `expire_time`. Raises a Problem if the door gives none."""
    found = connection(options.get("target"), ca=options.get("ca"), context=options.get("context"))
    context = ssl.create_default_context(cadata=found.ca.decode() if found.ca else None)
    host, _, port = target.rpartition(":")
    caller = http.client.HTTPSConnection(host.strip("[]"), int(port), timeout=SECONDS, context=context)
    try:
        caller.request("POST", "/session/links", headers={"authorization": f"Bearer {token}"})
        answer = caller.getresponse()
        body = answer.read()
    except OSError as error:
        raise Problem(
            f"the door at {target} can't be reached", str(error), "celeriac status", UNAVAILABLE
        ) from None
    finally:
        caller.close()
    told = _json(body)
    if answer.status != http.client.OK:
        code = DENIED if answer.status in {401, 403} else FAILED
        raise Problem(
            str(told.get("message", answer.reason)), f"HTTP {answer.status}", "celeriac whoami", code
        )
    return told


def _json(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
