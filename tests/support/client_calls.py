"""Each method of the contracts as a call of the Python client, with values that its signature asks for."""

from __future__ import annotations

import datetime as dt
import inspect
from typing import Any

from protos.client_names import attribute_of, method_name
from services.kernel.identity import Role
from services.kernel.policy import policy_of
from tests.support.contract_server import METHODS

# Those that a client has: not what services ask of each other.
CLIENT_METHODS = {
    path: method for path, method in METHODS.items() if policy_of(method).least_role is not Role.SERVICE
}
NOW = dt.datetime(2026, 12, 1, 3, 30, tzinfo=dt.UTC)


def call_of(client: Any, path: str) -> Any:
    """Calls the method of the client that stands for the path: with what it requires, and nothing more."""
    method = METHODS[path]
    found = getattr(getattr(client, attribute_of(method.containing_service)), method_name(method))
    required = [
        parameter
        for parameter in inspect.signature(found).parameters.values()
        if parameter.default is inspect.Parameter.empty
    ]
    return found(**{parameter.name: _value(str(parameter.annotation)) for parameter in required})


def _value(annotation: str) -> Any:
    for part, value in (
        ("Iterable", ["x"]),
        ("Mapping", {}),
        ("dt.datetime", NOW),
        ("Value", 5),
        ("str", "x"),
        ("int", 5),
    ):
        if part in annotation:
            return value if part != "Iterable" or "Mapping" not in annotation else [{}]
    raise AssertionError(f"no value for {annotation}")
