"""`celeriac login`, `logout`, `whoami`, `contexts`, `token`, `open`, `completion`, `version`."""

from __future__ import annotations

import base64
import datetime as dt
import json
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import click

from celeriac.cli import times
from celeriac.cli.failures import DENIED, NOT_FOUND, Problem
from celeriac.cli.output import Column
from celeriac.cli.session import Session, command
from celeriac.contexts import Context, Contexts, file, read_contexts, write_contexts

DEFAULT = "default"


@command("login")
@click.option("--name", help="The context's name; `default`, or the current one.")
@click.option("--token-file", type=click.Path(exists=True, dir_okay=False), help="A file with the token.")
@click.option("--browser", is_flag=True, help="Print a one-time link for a browser, with the token in use.")
def login(session: Session, name: str | None, token_file: str | None, browser: bool) -> None:
    """Keep target, authority and token as a context, which is used from then on.

    The token is asked for, or read from standard input:

    make token ROLE=admin | celeriac login --target 127.0.0.1:8443 --ca .celeriac/ca.pem
    """
    if browser:
        _print_link(session)
        return
    contexts = read_contexts()
    name = name or session.options.get("context") or contexts.current or DEFAULT
    stored = contexts.contexts.get(name, Context())
    target = session.options.get("target") or stored.target or "127.0.0.1:8443"
    ca = session.options.get("ca") or stored.ca
    token = _token(token_file)
    from celeriac.client import connect

    # Checked before it is kept: a wrong one would be a riddle later.
    with connect(target, token=token, ca=ca or None) as client:
        client.system.check_health(deadline=session.deadline or 10)
    kept = Context(target, str(Path(ca).resolve()) if ca else "", token)
    write_contexts(contexts.with_context(name, kept))
    who = _claims(token)
    session.out.result(
        {"context": name, "target": target, "subject": who.get("sub", "")},
        f"signed in at {target} as {who.get('sub', 'unknown')} ({_roles(who)}), context {name}",
    )


def _token(path: str | None) -> str:
    if path:
        return Path(path).read_text().strip()
    if not sys.stdin.isatty():
        return sys.stdin.read().strip()
    typed: str = click.prompt("Token", hide_input=True, err=True)
    return typed.strip()


@command("logout")
def logout(session: Session) -> None:
    """Forget the token of the current context. It stays valid until it expires."""
    contexts = read_contexts()
    name = session.options.get("context") or contexts.current
    stored = contexts.named(name or None)
    write_contexts(Contexts(contexts.current, {**contexts.contexts, name: stored._replace(token="")}))
    session.out.result({"context": name}, f"forgot the token of {name}")


@command("whoami")
def whoami(session: Session) -> None:
    """Say who you are, at which system, and until when."""
    connected = _connection(session)
    claims = _claims(connected[1])
    expires = dt.datetime.fromtimestamp(claims["exp"], times.UTC) if "exp" in claims else None
    session.client.system.check_health(deadline=session.deadline)
    found = {"subject": claims.get("sub"), "roles": claims.get("roles", []), "expires": expires}
    found = {"target": connected[0], **found}
    if session.is_data:
        session.out.data({**found, "expires": expires and times.rfc3339(expires)})
        return
    session.out.item(found, [Column(title, _of(title)) for title in found])


def _of(name: str) -> Any:
    return lambda found: found[name]


def _connection(session: Session) -> tuple[str, str]:
    """Returns target and token. Raises a Problem if there is no token."""
    from celeriac.connection import connection

    options = session.options
    found = connection(options.get("target"), ca=options.get("ca"), context=options.get("context"))
    token = found.token if isinstance(found.token, str) else found.token()
    if not token:
        raise Problem("you are signed out", f"no token for {found.target}", "celeriac login", DENIED)
    return found.target, token


def _claims(token: str) -> dict[str, Any]:
    """Returns what the token says, unchecked: the system checks it."""
    try:
        part = token.split(".")[1]
        found = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (IndexError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _roles(claims: dict[str, Any]) -> str:
    return ", ".join(claims.get("roles", [])) or "no role"


@command("contexts")
@click.argument("use", required=False)
def contexts(session: Session, use: str | None) -> None:
    """List the contexts, or make one of them the current one."""
    found = read_contexts()
    if use:
        found.named(use)
        write_contexts(Contexts(use, found.contexts))
        session.out.result({"current": use}, f"{use} is the current context")
        return
    rows = [
        {"name": name, "current": name == found.current, "target": each.target, "ca": each.ca}
        for name, each in found.contexts.items()
    ]
    session.out.items(
        rows, [Column(title.upper(), _of(title)) for title in ("name", "current", "target", "ca")]
    )
    if session.is_terminal:
        session.say(f"in {file()}")


@command("token")
def token(session: Session) -> None:
    """Print the token in use, for curl and grpcurl."""
    click.echo(_connection(session)[1])


@command("open")
def open_(session: Session) -> None:
    """Print a one-time link to the pages of the system: it signs you in, once, within two minutes."""
    _print_link(session)


def _print_link(session: Session) -> None:
    from celeriac.cli.door import one_time_link

    target, token = _connection(session)
    link = one_time_link(target, token, session.options)
    session.out.result(link, str(link["link"]))
    if session.is_terminal:
        session.say(f"open it within two minutes; it works once (until {link['expire_time']})")


SHELLS = ("bash", "zsh", "fish")


@command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
def completion(_: Session, shell: str) -> None:
    """Print the completion of a shell: eval "$(celeriac completion bash)"."""
    from click.shell_completion import get_completion_class

    from celeriac.cli.run import root

    found = get_completion_class(shell)
    if found is None:
        raise Problem(f"there is no completion for {shell}", code=NOT_FOUND)
    click.echo(found(root(), {}, "celeriac", "_CELERIAC_COMPLETE").source())


@command("version")
@click.option("--client", "client_only", is_flag=True, help="Only that of the command.")
def version(session: Session, client_only: bool) -> None:
    """Versions of the command and of the system."""
    found: dict[str, Any] = {"command": metadata.version("celeriac")}
    if not client_only:
        info = session.client.system.get_info(deadline=session.deadline)
        found |= {"system": info.version, "product": info.product, "time_zone": info.time_zone}
    if session.is_data:
        session.out.data(found)
        return
    session.out.item(found, [Column(title.replace("_", " "), _of(title)) for title in found])
