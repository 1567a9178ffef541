"""Who is calling, for as long as the call lasts."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from enum import IntEnum

from celeriac.access.v1 import policy_pb2


class Role(IntEnum):
    """What a caller may do, least first; the numbers are those of the contract."""

    VIEWER = policy_pb2.ROLE_VIEWER
    ADMIN = policy_pb2.ROLE_ADMIN
    SUPER_ADMIN = policy_pb2.ROLE_SUPER_ADMIN
    SERVICE = policy_pb2.ROLE_SERVICE

    @property
    def label(self) -> str:
        """The name that tokens, logs and people use."""
        return self.name.lower()


# A token is something a person or a program was handed; only a TLS certificate makes a service.
TOKEN_ROLES = {role.label: role for role in Role if role is not Role.SERVICE}


@dataclass(frozen=True)
class Identity:
    """A caller that has shown who it is."""

    subject: str
    role: Role
    issuer: str
    token_id: str = ""
    # Shown so lately that it still counts.
    second_factor: bool = False


_identity: ContextVar[Identity | None] = ContextVar("identity", default=None)


def current_identity() -> Identity | None:
    """The identity behind the call being served; None outside a call, and in a public one."""
    return _identity.get()


def current_subject() -> str:
    """Who the call being served is by; "nobody" outside a call, and in a public one."""
    identity = current_identity()
    return identity.subject if identity else "nobody"


def bind_identity(identity: Identity | None) -> None:
    _identity.set(identity)
