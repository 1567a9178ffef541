"""DATABASE_URL, looked at when the settings are read: what is wrong with it is told before anything starts.

Its form is that of libpq (PostgreSQL manual, section 34.1.1, "Connection Strings"); the driver reads it.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from services.kernel.logged_errors import for_log

SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
# What libpq takes where sslrootcert is not given.
ROOT_CERTIFICATE = Path.home() / ".postgresql/root.crt"
SSL_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")


def check_database_url(url: str) -> None:
    """Raises `ValueError` for a URL that no connection could be made with."""
    parts = urlsplit(url)
    if not re.fullmatch(r"postgres(ql)?(\+\w+)?", parts.scheme):
        raise ValueError("it does not begin with postgresql://")
    for host in parts.netloc.rpartition("@")[2].split(","):
        port = host.rpartition("]")[2].partition(":")[2]
        if port and not (port.isdecimal() and int(port) <= 65535):
            raise ValueError(f"the port {port!r} is not a number up to 65535")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    mode = options.get("sslmode", "prefer")
    if mode not in SSL_MODES:
        raise ValueError(f"sslmode is none of {', '.join(SSL_MODES)}")
    if mode.startswith("verify") and "sslrootcert" not in options and not ROOT_CERTIFICATE.is_file():
        raise ValueError(f"sslmode={mode} needs sslrootcert, the file of the certificate authority")
    for name in SSL_FILES:
        if name in options and not Path(options[name]).is_file():
            raise ValueError(f"{name} names no file: {options[name]}")


def place_of(url: str) -> str:
    """Returns the database's host, port and name, without user and password: "db:5432/celeriac"."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2] or dict(parse_qsl(parts.query)).get("host", "localhost")
    return f"{host}{parts.path}"


def unusable(url: str, error: BaseException) -> str:
    """Returns which database can't be used, and why, without its user and password."""
    return f"the database {place_of(url)} can't be used: {for_log(error)}"


def as_user(url: str, user: str, password: str) -> str:
    """Returns the URL for another user of the same database."""
    who = f"{quote(user, safe='')}:{quote(password, safe='')}"
    parts = urlsplit(url)
    return _composed(parts, f"{who}@{parts.netloc.rpartition('@')[2]}", parts.path, ("user", "password"))


def in_database(url: str, database: str) -> str:
    """Returns the URL for another database of the same server."""
    parts = urlsplit(url)
    return _composed(parts, parts.netloc, f"/{quote(database, safe='')}", ("dbname", "database"))


def database_of(url: str) -> str:
    """Returns the name of the database that the URL names; empty if it leaves that to the driver."""
    return unquote(urlsplit(url).path[1:])


def _composed(parts: SplitResult, netloc: str, path: str, replaced: Collection[str]) -> str:
    """Returns the URL with another user or database, without the options that would say something else."""
    options = [(name, value) for name, value in parse_qsl(parts.query) if name not in replaced]
    # libpq takes a "+" for itself, not for a space.
    query = urlencode(options, safe="/", quote_via=quote)
    return f"{parts.scheme}://{netloc}{path}{'?' if query else ''}{query}"
