"""Settings of the one-machine system, and where its files are."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from deploy.sockets import fits
from deploy.standalone.ports import BLOCK
from services.kernel.settings import BrokerUrl, DatabaseUrl, QueuePrefix, ResultUrl, ZoneName
from services.kernel.variables import read

POSTGRES_SOCKET = ".s.PGSQL.5432"
ADMIN_SOCKET = "admin.sock"
# Celery lets these come before what it is told in any other way, and the operator's shell may have them for
# another application: no process of this system may see them.
OF_ANOTHER_APPLICATION = (
    "CELERY_BROKER_URL",
    "CELERY_BROKER_READ_URL",
    "CELERY_BROKER_WRITE_URL",
    "CELERY_RESULT_BACKEND",
)
# On a broker that another application uses, too.
FOREIGN_PREFIX = "celeriac."


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path.expanduser()))  # noqa: PTH100 - resolve() would follow links


def _folder(path: Path) -> Path:
    if not path.is_dir():
        raise ValueError(f"{str(path)!r} is not a folder")
    return path


class StandaloneSettings(BaseSettings):
    """What an operator may choose; the rest follows from it."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    state: Annotated[Path, AfterValidator(_absolute)] = Field(
        Path(".celeriac"), validation_alias="CELERIAC_STATE_DIR", examples=["/var/lib/celeriac"]
    )
    gateway_port: int = Field(
        8443, ge=1, le=65536 - BLOCK, validation_alias="CELERIAC_GATEWAY_PORT", examples=["9443"]
    )
    # A folder with an ONNX graph and tokenizer.json; the embedded model when unset.
    model: Annotated[Path, AfterValidator(_absolute), AfterValidator(_folder)] | None = Field(
        None, validation_alias="CELERIAC_MODEL", examples=["/srv/models/multilingual-e5-large"]
    )
    time_zone: ZoneName = Field(
        "Asia/Taipei", validation_alias="CELERIAC_TIME_ZONE", examples=["Asia/Taipei"]
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = Field(
        "INFO", validation_alias="CELERY_LOG_LEVEL", examples=["INFO"]
    )

    # Servers of the operator's, used in place of this system's own.
    broker_url: BrokerUrl | None = Field(
        None, validation_alias="CELERIAC_BROKER_URL", examples=["redis://user:password@redis:6379/0"]
    )
    result_url: ResultUrl | None = Field(
        None, validation_alias="CELERIAC_RESULT_URL", examples=["redis://user:password@redis:6379/1"]
    )
    relay_url: BrokerUrl | None = Field(
        None, validation_alias="CELERIAC_RELAY_URL", examples=["redis://user:password@relay:6379/0"]
    )
    database_url: DatabaseUrl | None = Field(
        None, validation_alias="DATABASE_URL", examples=["postgresql://celeriac:secret@db:5432/celeriac"]
    )
    # Put before the queues of Celeriac's own tasks; unset: none on the embedded Valkey, else "celeriac.".
    queue_prefix: QueuePrefix | None = Field(
        None, validation_alias="CELERIAC_QUEUE_PREFIX", examples=["celeriac."]
    )
    # Whether a first start gives standard schedules and a sample chat; unset: only on the embedded Valkey.
    examples: bool | None = Field(None, validation_alias="CELERIAC_EXAMPLES", examples=["1"])

    @property
    def prefix(self) -> str:
        """What stands before the names of the queues of Celeriac's own tasks."""
        if self.queue_prefix is not None:
            return self.queue_prefix
        return FOREIGN_PREFIX if self.broker_url is not None else ""

    @property
    def own_valkey(self) -> bool:
        """Whether the embedded Valkey is needed: as the broker, or for the relay's events.

        They are too many (hundreds of megabytes) for a broker that belongs to another application.
        """
        return self.broker_url is None or self.relay_url is None

    @property
    def gives_examples(self) -> bool:
        return self.broker_url is None if self.examples is None else self.examples

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def run(self) -> Path:
        """The folder for what concerns the running system only: lock, record of its processes, sockets."""
        return self.state / "run"

    @property
    def ready_file(self) -> Path:
        """It exists when the system is ready, first steps included; the monitor waits for it to say so."""
        return self.run / "ready"

    @property
    def held_file(self) -> Path:
        """It exists while the system is shut down by its API: workers are not started again meanwhile."""
        return self.run / "held"

    @property
    def socket_folder(self) -> Path:
        """Where PostgreSQL's socket is."""
        return self._folder_for_socket("postgres", POSTGRES_SOCKET)

    @property
    def admin_socket(self) -> Path:
        """The socket of Envoy's admin page."""
        return self._folder_for_socket("envoy", ADMIN_SOCKET) / ADMIN_SOCKET

    def _folder_for_socket(self, component: str, socket: str) -> Path:
        """A folder of the component alone: in the state folder, unless its path is too long for a socket."""
        wanted = self.run / component
        if fits(wanted / socket):
            return wanted
        digest = hashlib.sha256(os.fsencode(self.state)).hexdigest()[:12]
        return Path("/tmp") / f"celeriac-{os.getuid()}-{digest}-{component}"


def load_settings() -> StandaloneSettings:
    """Reads the environment. Raises SystemExit that names each wrong variable, its fault and an example."""
    return read(StandaloneSettings)


def make_private_folder(path: Path, owner: int) -> None:
    """Makes a folder that only `owner` (a user id) may enter, or makes an existing one so.

    Raises SystemExit if it belongs to somebody else, as could be in /tmp.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (owner, os.getuid()):
        raise SystemExit(
            f"{path} belongs to somebody else; remove it, or choose a shorter CELERIAC_STATE_DIR"
        )
    path.chmod(0o700)
    if found.st_uid != owner:
        os.chown(path, owner, -1)
