"""How a person gets in with a browser: a one-time link, and the command by which the browser trusts us."""

from __future__ import annotations

import contextlib
import getpass
import http.client
import json
import os
import ssl
import sys
from pathlib import Path

from deploy.standalone import instance
from deploy.standalone.ports import HOST
from deploy.standalone.settings import StandaloneSettings
from deploy.standalone.shell_lines import to_copy
from deploy.standalone.tokens import LocalIssuer

LINKS = "/session/links"
ANSWER_SECONDS = 10.0
# Of a token that makes one link.
TOKEN_SECONDS = 60
NOBODY = "operator"


def new_link(settings: StandaloneSettings) -> str | None:
    """Returns a new one-time link for this system's user, who is an admin by it; None if none can be had."""
    token = LocalIssuer(settings.state).mint("admin", user(), TOKEN_SECONDS)
    context = ssl.create_default_context(cafile=settings.state / "ca.pem")
    connection = http.client.HTTPSConnection(
        HOST, settings.gateway_port, context=context, timeout=ANSWER_SECONDS
    )
    with contextlib.closing(connection):
        try:
            connection.request("POST", LINKS, headers={"authorization": f"Bearer {token}"})
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException):
            return None
    return str(json.loads(body)["link"]) if answer.status == 200 else None


def user() -> str:
    """Returns the name of who runs this."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # Without a name, as in some containers.
        return NOBODY


def how_to_open(link: str | None) -> list[str]:
    """Returns the lines that show a link."""
    if link is None:
        return ["In a browser: no link can be had now; `make status` tells how the door is."]
    return [
        f"In a browser, signed in as {user()} (once, within two minutes; `make status` makes a new one):",
        f"  {link}",
    ]


def how_to_trust(settings: StandaloneSettings) -> list[str]:
    """Returns the lines that say how this user's browser comes to trust the local authority."""
    return [
        "So that the browser does not warn, trust this system's authority, once (docs/sign-in.md):",
        f"  {trust_command(settings.state)}",
    ]


def trust_command(state: Path) -> str:
    """Returns the one command by which this user's browsers trust the authority of a state folder."""
    ca = os.path.relpath(state / "ca.pem")
    ca = str(state / "ca.pem") if ca.startswith("..") else ca
    if sys.platform == "darwin":
        keychain = "~/Library/Keychains/login.keychain-db"
        return to_copy(f"security add-trusted-cert -r trustRoot -k {keychain} {ca}")
    name = f"celeriac-{instance.name_of(state)}"
    database = "sql:$HOME/.pki/nssdb"
    return to_copy(f"mkdir -p $HOME/.pki/nssdb && certutil -d {database} -A -n {name} -t C,, -i {ca}")
