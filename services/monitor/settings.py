"""Settings of the monitor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field

from services.kernel.broker_layout import LayoutSettings
from services.kernel.settings import Address, BrokerUrl, Replicas
from services.monitor.tasks.log_link import EXAMPLE, checked_template
from services.monitor.tasks.redaction import Arguments, Redaction, Seal
from services.monitor.tasks.secret_names import words_of

if TYPE_CHECKING:
    from services.kernel.identity import Role


def _names(text: str) -> str:
    for name in filter(None, map(str.strip, text.split(","))):
        if not words_of(name):
            raise ValueError(f"{name[:100]!r} is no name: it has no letters")
    return text


def _paths(text: str) -> str:
    stems = [path.stem for path in paths_in(text)]
    twice = next((stem for stem in stems if stems.count(stem) > 1), None)
    if twice is not None:
        raise ValueError(f"two files have the name {twice!r}: each is told by its own")
    return text


def paths_in(text: str) -> Sequence[Path]:
    """Returns the paths of a list with commas between."""
    return [Path(path.strip()) for path in text.split(",") if path.strip()]


Names = Annotated[str, AfterValidator(_names)]
Paths = Annotated[str, AfterValidator(_paths)]
LinkTemplate = Annotated[str, AfterValidator(checked_template)]


class MonitorSettings(LayoutSettings):
    # The number of recent tasks kept in memory, where their events are merged; all tasks are in the database.
    tasks_in_memory: int = Field(
        100_000, ge=1000, validation_alias="CELERIAC_MONITOR_TASKS_IN_MEMORY", examples=["100000"]
    )
    # Bytes on the disk that tasks may take, with the indexes of their tables. Beyond it the oldest are
    # dropped, a generation at a time. The search index takes about a third as much beside it.
    tasks_bytes: int | None = Field(
        None,
        ge=64 * 1024 * 1024,
        validation_alias="CELERIAC_MONITOR_TASKS_BYTES",
        examples=["10737418240"],
    )
    # Bytes on the disk that snapshots of measures may take. Beyond it the oldest are deleted.
    snapshots_bytes: int = Field(
        1024**3,
        ge=64 * 1024 * 1024,
        validation_alias="CELERIAC_MONITOR_SNAPSHOTS_BYTES",
        examples=["1073741824"],
    )
    # The number of changes that may wait for one reader of WatchEvents or WatchOperations. Further ones are
    # left out and counted.
    watch_buffer: int = Field(
        1000, ge=10, validation_alias="CELERIAC_MONITOR_WATCH_BUFFER", examples=["1000"]
    )
    # A file that must exist before the system says that it is ready: written by whoever starts it, after its
    # own first steps.
    ready_file: Path | None = Field(
        None, validation_alias="CELERIAC_MONITOR_READY_FILE", examples=["/run/celeriac/ready"]
    )
    # A file that is there while the system is shut down: whoever supervises the workers of this machine does
    # not start them again meanwhile, and removes it when it starts the system anew.
    held_file: Path | None = Field(
        None, validation_alias="CELERIAC_MONITOR_HELD_FILE", examples=["/run/celeriac/held"]
    )
    # A Redis or Valkey of our own, in which the relay keeps events for monitors. Without it, a monitor
    # listens to the broker itself, and what is published while it is away is not seen.
    relay_url: BrokerUrl | None = Field(
        None, validation_alias="CELERIAC_RELAY_URL", examples=["redis://relay:6379/0"]
    )
    # Where the door is, whose health is then told with that of the services.
    door_address: Replicas | None = Field(
        None, validation_alias="CELERIAC_DOOR_ADDRESS", examples=["door:8454"]
    )
    # Where clients reach the gateway: the certificate that it serves is then measured.
    gateway_address: Address | None = Field(
        None, validation_alias="CELERIAC_MONITOR_GATEWAY", examples=["gateway.example.org:8443"]
    )
    # Envoy's admin socket, if the monitor may reach it: callers whom the gateway refuses are then counted.
    # Who reaches it can also stop Envoy, and have it log headers.
    gateway_admin: Path | None = Field(
        None, validation_alias="CELERIAC_MONITOR_GATEWAY_ADMIN", examples=["/run/celeriac/envoy/admin.sock"]
    )
    # Files of further certificates (PEM) whose expiry is measured, with commas between: of workers, of an
    # authority.
    certificates: Paths = Field(
        "",
        validation_alias="CELERIAC_MONITOR_CERTIFICATES",
        examples=["/etc/celeriac/worker.crt,/etc/celeriac/ca.pem"],
    )
    # Bytes of memory of that stream. Beyond it the oldest events are dropped, and counted.
    relay_bytes: int = Field(
        256 * 1024 * 1024, ge=1024 * 1024, validation_alias="CELERIAC_RELAY_BYTES", examples=["268435456"]
    )
    # The `global_keyprefix` of the application's result_backend_transport_options.
    result_key_prefix: str = Field("", validation_alias="CELERIAC_RESULT_KEY_PREFIX", examples=["myapp:"])
    # Whether workers that send no events of their tasks are told to send them. One that did send them, and
    # was then told not to, is left alone.
    enable_events: bool = Field(
        True, validation_alias="CELERIAC_MONITOR_ENABLE_EVENTS", examples=["true", "false"]
    )
    # Hours for which a revocation is told to workers that come, if the end of its task is never heard.
    revocation_hours: float = Field(
        168, ge=3, le=8760, validation_alias="CELERIAC_MONITOR_REVOCATION_HOURS", examples=["168"]
    )
    # Seconds that workers have to answer a command.
    control_timeout: float = Field(
        2.0, gt=0, le=30, validation_alias="CELERIAC_MONITOR_CONTROL_TIMEOUT", examples=["2"]
    )
    # Names of secrets beside the default ones, with commas between: their values are replaced before anything
    # of a task is stored or shown.
    redact: Names = Field("", validation_alias="CELERIAC_MONITOR_REDACT", examples=["iban,account_number"])
    # Names whose values are no secrets although a rule says so.
    redact_except: Names = Field(
        "", validation_alias="CELERIAC_MONITOR_REDACT_EXCEPT", examples=["primary_key,sort_key"]
    )
    # What is kept of arguments and results: "redacted", all but the secrets; "none", nothing; "clear", all.
    arguments: Arguments = Field(
        Arguments.REDACTED, validation_alias="CELERIAC_MONITOR_ARGUMENTS", examples=["redacted", "none"]
    )
    # A file of keys, with which arguments that have secrets are kept encrypted, so that a retry can be sent
    # with them. Without it, or as long as it is not there, they are not kept.
    argument_keys: Path | None = Field(
        None,
        validation_alias="CELERIAC_MONITOR_ARGUMENT_KEYS",
        examples=["/etc/celeriac/argument-keys.json"],
    )
    # A file of the channels by which people are told of alerts (services/monitor/alerts/channels.py). It is
    # read again when it changes; as long as it is not there, nobody is told.
    alert_channels: Path | None = Field(
        None,
        validation_alias="CELERIAC_MONITOR_ALERT_CHANNELS",
        examples=["/etc/celeriac/alert-channels.toml"],
    )
    # Where people read the runbook, without the "#": alerts of standing rules link to its chapters.
    runbook_url: str = Field(
        "docs/runbook.md",
        max_length=1000,
        validation_alias="CELERIAC_MONITOR_RUNBOOK_URL",
        examples=["https://wiki.example.org/celeriac/runbook"],
    )
    # The least role that reads arguments and results, and finds tasks by what stands in them.
    arguments_readable_from: Literal["viewer", "admin"] = Field(
        "admin", validation_alias="CELERIAC_MONITOR_ARGUMENTS_READABLE_FROM", examples=["admin", "viewer"]
    )

    # The address of a task's log lines, where they are aggregated; log_link.py has its placeholders. GetTask
    # shows it with the values of the task.
    log_link: LinkTemplate = Field("", validation_alias="CELERIAC_LOG_LINK", examples=[EXAMPLE])

    @property
    def certificate_files(self) -> Sequence[Path]:
        return paths_in(self.certificates)

    @property
    def redaction(self) -> Redaction:
        return self.redaction_by(None)

    def redaction_by(self, seal: Seal | None) -> Redaction:
        """Returns the same, which has arguments with secrets encrypted."""
        return Redaction(self.redact.split(","), self.redact_except.split(","), self.arguments, seal)

    @property
    def readers_of_arguments(self) -> Role:
        # Imported here: it loads the contracts, for which the relay has no use.
        from services.kernel.identity import Role

        return Role[self.arguments_readable_from.upper()]
