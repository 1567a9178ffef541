"""The address of a Redis or Valkey, as a URL: read from the settings, and written as each library takes it.

redis://user:password@host:6379/0
rediss://user:password@host:6380/0?ssl_ca_certs=/ca.pem&ssl_certfile=/me.crt&ssl_keyfile=/me.key
unix:///run/valkey.sock?db=0    (or as in Celery: redis+socket:///run/valkey.sock?virtual_host=0)
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

PORT = 6379
# What a URL may say of TLS; the names are those of redis-py and of Celery.
TLS_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
CERTIFICATE = "ssl_cert_reqs"
# Whether the server's certificate is checked. "optional" would not check it either.
CHECKS = {"required": True, "CERT_REQUIRED": True, "none": False, "CERT_NONE": False}
NOT_YET = (
    "sentinel",
    "redis+sentinel",
    "redis-sentinel",
    "redis+cluster",
    "rediss+cluster",
    "redis-cluster",
)
EXAMPLE = "redis://user:password@redis:6379/0"


class WrongAddress(ValueError):
    """The URL is not the address of a Redis or Valkey. The text quotes names only: the URL may be secret."""


@dataclass(frozen=True)
class BrokerAddress:
    """Where the server is, and who we are to it. With `path`, a Unix socket; else `host` and `port`."""

    host: str = ""
    port: int = PORT
    path: str = ""
    database: int = 0
    user: str = ""
    password: str = ""
    tls: bool = False
    # Files by the names of TLS_FILES.
    tls_files: tuple[tuple[str, str], ...] = ()
    tls_checked: bool = True

    @property
    def server(self) -> str:
        """What people call the server: its socket, or host and port."""
        return self.path or f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, url: str) -> BrokerAddress:
        """Raises `WrongAddress` for anything that would be ignored or misread otherwise."""
        parts = urlsplit(url)
        if parts.scheme in NOT_YET:
            raise WrongAddress(f"{parts.scheme}:// is not supported yet: name one Redis or Valkey")
        if parts.scheme not in {"redis", "rediss", "unix", "redis+socket"}:
            raise WrongAddress("it does not begin with redis://, rediss:// or unix://")
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        socket = parts.scheme in {"unix", "redis+socket"}
        place = options.pop("db", options.pop("virtual_host", "")) or ("" if socket else parts.path[1:])
        if not (place or "0").isdecimal():
            raise WrongAddress("its database is not a number, as in redis://redis:6379/0")
        try:
            port = parts.port or PORT
        except ValueError:
            raise WrongAddress("its port is not a number up to 65535") from None
        address = cls(
            host="" if socket else unquote(parts.hostname or ""),
            port=port,
            path=unquote(parts.path) if socket else "",
            database=int(place or "0"),
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
        )
        if not (address.path if socket else address.host):
            raise WrongAddress("it names no host" if not socket else "it names no socket")
        return address._with_tls(options) if parts.scheme == "rediss" else address._without(options)

    def _with_tls(self, options: dict[str, str]) -> BrokerAddress:
        checked = options.pop(CERTIFICATE, "required")
        if checked not in CHECKS:
            raise WrongAddress(f"{CERTIFICATE} is none of {', '.join(CHECKS)}")
        files = tuple((name, options.pop(name)) for name in TLS_FILES if name in options)
        return replace(self, tls=True, tls_files=files, tls_checked=CHECKS[checked])._without(options)

    def _without(self, options: dict[str, str]) -> BrokerAddress:
        if options:
            raise WrongAddress(f"it has options that are not known: {', '.join(sorted(options))}")
        return self

    def at(self, database: int) -> BrokerAddress:
        """The same server, another of its databases."""
        return replace(self, database=database)

    @property
    def for_redis(self) -> str:
        """The URL that redis-py takes."""
        if self.path:
            return f"unix://{self._who}{quote(self.path)}?db={self.database}"
        return self._over_network("required" if self.tls_checked else "none")

    @property
    def for_celery(self) -> str:
        """The URL that Celery takes for its broker and its results."""
        if self.path:
            return f"redis+socket://{self._who}{quote(self.path)}?virtual_host={self.database}"
        return self._over_network("CERT_REQUIRED" if self.tls_checked else "CERT_NONE")

    def tls_context(self) -> ssl.SSLContext | None:
        """Returns what asyncio needs for TLS; None without TLS."""
        if not self.tls:
            return None
        files = dict(self.tls_files)
        context = ssl.create_default_context(cafile=files.get("ssl_ca_certs"))
        if not self.tls_checked:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if "ssl_certfile" in files:
            context.load_cert_chain(files["ssl_certfile"], files.get("ssl_keyfile"))
        return context

    def _over_network(self, checked: str) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        url = f"{'rediss' if self.tls else 'redis'}://{self._who}{host}:{self.port}/{self.database}"
        options = {CERTIFICATE: checked, **dict(self.tls_files)} if self.tls else {}
        return f"{url}?{urlencode(options)}" if options else url

    @property
    def _who(self) -> str:
        if not self.user and not self.password:
            return ""
        return f"{quote(self.user, safe='')}:{quote(self.password, safe='')}@"
