"""Where the gateway is, by which token it is called, and who signed its certificate.

Taken from the arguments of `connect()`, then from the environment, then from the command's context:

    CELERIAC_TARGET   host:port of the gateway
    CELERIAC_TOKEN    the token
    CELERIAC_CA       a PEM file of the authority that signed the gateway's certificate
    CELERIAC_CONTEXT  which context of the file to use, in place of its `current`

The file is ~/.config/celeriac/config.toml (or below $XDG_CONFIG_HOME), which `celeriac login` writes:

    current = "local"

    [contexts.local]
    target = "127.0.0.1:8443"
    ca = "/srv/celeriac/.celeriac/ca.pem"
    token = "eyJ…"

A context's token and authority are used for its own target alone: a token must not go to another system.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from celeriac.contexts import Context, read_contexts

Token = str | Callable[[], str]


class Connection(NamedTuple):
    """`ca`: the bytes of a PEM file; None for the authorities that grpc trusts by itself."""

    target: str
    token: Token
    ca: bytes | None

    def metadata(self) -> list[tuple[str, str]]:
        """Returns the metadata of a call. Asks the function for a token, if it is one."""
        token = self.token if isinstance(self.token, str) else checked_token(self.token())
        return [("authorization", f"Bearer {token}")] if token else []


def connection(
    target: str | None = None,
    token: Token | None = None,
    ca: str | Path | None = None,
    context: str | None = None,
) -> Connection:
    """Returns what to connect with. Raises ValueError, with a sentence, for what can't be right."""
    found = read_contexts().named(context or os.environ.get("CELERIAC_CONTEXT"))
    wanted = target or (None if context else os.environ.get("CELERIAC_TARGET")) or found.target
    if not wanted:
        raise ValueError(
            'no target: give connect("127.0.0.1:8443"), set CELERIAC_TARGET, or sign in by `celeriac login`'
        )
    own = found if wanted == found.target else Context()
    environment = {} if context else os.environ
    authority = ca or environment.get("CELERIAC_CA") or own.ca
    sign_in = token if token is not None else environment.get("CELERIAC_TOKEN") or own.token
    return Connection(
        checked_target(wanted),
        checked_token(sign_in) if isinstance(sign_in, str) else sign_in,
        read_authority(authority) if authority else None,
    )


def checked_target(target: str) -> str:
    """Returns the target. Raises ValueError if it is not host:port."""
    scheme, found, rest = target.partition("://")
    if found:
        raise ValueError(
            f"the target {target!r} is a URL; it has to be host:port, without {scheme}:// and path, "
            f"for example {rest.split('/')[0] or '127.0.0.1:8443'}"
        )
    host, _, port = target.rpartition(":")
    if not host or not port.isdigit() or any(each.isspace() for each in target):
        raise ValueError(f"the target {target!r} is not host:port; for example 127.0.0.1:8443")
    return target


def checked_token(token: str) -> str:
    """Returns the token. Raises ValueError if it can't be one; the message does not repeat it."""
    if not isinstance(token, str):
        raise TypeError(f"the token is a {type(token).__name__}; it has to be a str")
    if token != token.strip():
        raise ValueError(
            "the token ends in a line break or a blank, as a file does: token=Path(…).read_text().strip()"
        )
    if token.lower().startswith("bearer "):
        raise ValueError('the token begins with "Bearer "; give the token alone')
    if not token.isascii() or any(each.isspace() or not each.isprintable() for each in token):
        raise ValueError(
            "the token has characters that no token has: line breaks, blanks or letters beyond ASCII"
        )
    return token


def read_authority(path: str | Path) -> bytes:
    """Returns the bytes of a PEM file. Raises ValueError if it can't be read or has no certificate."""
    try:
        read = Path(path).expanduser().read_bytes()
    except OSError as error:
        raise ValueError(
            f"the authority's file {path} can't be read: {error.strerror or error}; "
            "that of `make up` is .celeriac/ca.pem"
        ) from None
    if b"-----BEGIN CERTIFICATE-----" not in read:
        raise ValueError(f"{path} has no certificate; it has to be a PEM file, such as .celeriac/ca.pem")
    return read
