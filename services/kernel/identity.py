"""The caller of the call that is being served: its identity and role."""

from __future__ import annotations

import math
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum

from celeriac.access.v1 import policy_pb2

from services import STORING


class Role(Enum):
    """The roles of callers; the numbers are those of the contract.

    The numbers state no order. Roles are compared by `reaches` alone; `<` on them is a TypeError.
    """

    VIEWER = policy_pb2.ROLE_VIEWER
    ADMIN = policy_pb2.ROLE_ADMIN
    SUPER_ADMIN = policy_pb2.ROLE_SUPER_ADMIN
    SERVICE = policy_pb2.ROLE_SERVICE
    WRITER = policy_pb2.ROLE_WRITER

    @property
    def label(self) -> str:
        """The name that tokens, logs and people use."""
        return self.name.lower()

    def reaches(self, least: Role) -> bool:
        """Whether this role may do all that `least` may: it is the same role, or a greater one in `ORDER`."""
        if self in ORDER and least in ORDER:
            return ORDER.index(self) >= ORDER.index(least)
        return self is least


# The roles that are ordered, the least first. The others stand beside them.
ORDER = (Role.VIEWER, Role.ADMIN, Role.SUPER_ADMIN)


# The names that a service's certificate can have. `worker` is a Celery worker of the embedder; `tasks` is for
# the workers of an operator's own tasks, which read secrets.
CALLERS = (*STORING, "worker", "tasks")

# The roles that a token can have. The role of a service comes only with its TLS certificate.
TOKEN_ROLES = {role.label: role for role in Role if role is not Role.SERVICE}


@dataclass(frozen=True)
class Identity:
    """A caller that has proved who it is.

    `role` is the greatest of the ordered roles that its token has. Where it has none of those, `role` is the
    role that stands beside them.
    """

    subject: str
    role: Role
    issuer: str
    token_id: str = ""
    # The sign-in that the token is one of (`sid`, OpenID Connect); revoked as a whole by this id.
    session_id: str = ""
    # The id of the key that signed the token.
    key_id: str = ""
    # When the token was issued, in seconds since 1970; 0 if it does not say.
    issued_at: float = 0.0
    # Until when the token is taken, in seconds since 1970; infinity for a certificate.
    valid_until: float = math.inf
    # The roles beside the order that the token has.
    beside: frozenset[Role] = frozenset()
    # The name in the caller's certificate ("scheduler"); only with the role SERVICE.
    service: str = ""
    # Whether a second factor was given recently enough to be valid.
    second_factor: bool = False


_identity: ContextVar[Identity | None] = ContextVar("identity", default=None)


def current_identity() -> Identity | None:
    """Returns the caller of the call being served; None outside a call, and for a caller without identity."""
    return _identity.get()


def current_subject() -> str:
    """Returns the subject of `current_identity`; "nobody" if there is none."""
    identity = current_identity()
    return identity.subject if identity else "nobody"


def bind_identity(identity: Identity | None) -> None:
    _identity.set(identity)
