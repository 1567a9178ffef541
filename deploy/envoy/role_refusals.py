"""What a caller is told whose token lacks the role that a method needs: that role, and those that it has.

For gRPC the error is packed into a header, which Envoy can't compose. So each case is a refusal of its own;
there are few, since the roles that methods ask for are few.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

from deploy.envoy.contracts import Method
from services.kernel.identity import ORDER, TOKEN_ROLES, Role

# The roles that a method needs, as they are told, in the metadata of its route.
NEEDED = "needed"
CLAIMED = "metadata.filter_metadata['envoy.filters.http.jwt_authn']['claims']['roles']"


def needed_by(method: Method) -> str:
    """Returns the roles that may call the method: "admin", "viewer or writer"; "" for a public one."""
    if method.least_role is None:
        return ""
    return " or ".join([method.least_role.label, *sorted(role.label for role in method.also)])


def role_cases(methods: Iterable[Method]) -> Iterator[tuple[str, str]]:
    """Yields a condition in CEL and a message for each way in which a token's roles may not be enough."""
    refusing = {needed_by(method): frozenset(method.roles) for method in methods if _asks_for_a_role(method)}
    for needed, admitted in sorted(refusing.items()):
        for had in _combinations():
            if admitted.isdisjoint(had):
                yield _condition(needed, had), _message(needed, had)


def _asks_for_a_role(method: Method) -> bool:
    return method.least_role not in {None, Role.SERVICE}


def _combinations() -> Iterator[tuple[Role, ...]]:
    """All that the roles of a token may be, the most first: a condition holds also for tokens with more."""
    roles = [role for role in TOKEN_ROLES.values() if role in ORDER]
    beside = [role for role in TOKEN_ROLES.values() if role not in ORDER]
    highest = [*((role,) for role in reversed(roles)), ()]
    more = [
        chosen for count in range(len(beside), -1, -1) for chosen in itertools.combinations(beside, count)
    ]
    for ordered, other in itertools.product(highest, more):
        yield (*ordered, *other)


def _condition(needed: str, had: tuple[Role, ...]) -> str:
    asked = f"xds.route_metadata.filter_metadata['celeriac']['{NEEDED}'] == '{needed}'"
    return " && ".join([asked, *(f"'{role.label}' in {CLAIMED}" for role in had)])


def _message(needed: str, had: tuple[Role, ...]) -> str:
    roles = " and ".join(role.label for role in had) or f"none of {', '.join(TOKEN_ROLES)}"
    return f"this method needs the role {needed}; the token has {roles}"
