"""Settings that every service reads from the environment, once, in its `__main__`.

Names that are usual in Celery deployments are kept (`REDIS_HOST`, `DATABASE_URL`, …); all others begin with
`CELERIAC_`. A service adds its own settings in a subclass.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.kernel.broker_address import BrokerAddress
from services.kernel.database_address import check_database_url
from services.kernel.zones import known_zones

# As CELERIAC_RESULT_URL: Celeriac's own tasks keep no results.
NO_RESULTS = "none"
QUEUE_PREFIX = re.compile(r"[A-Za-z0-9_.-]{0,50}")


def _known_zone(name: str) -> str:
    if name not in known_zones():
        raise ValueError(f"{name!r} is not a zone of the IANA database")
    return name


def host_and_port(address: str) -> str:
    """Returns the address. Raises `ValueError` if it is not host:port."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"{address!r} is not host:port")
    return address


def _replicas(addresses: str) -> str:
    listed = [host_and_port(address.strip()) for address in addresses.split(",")]
    if len(listed) == 1:
        return listed[0]
    try:
        families = {ip_address(address.rpartition(":")[0].strip("[]")).version for address in listed}
    except ValueError:
        # gRPC takes one name, or several addresses.
        raise ValueError(
            "several replicas are listed by their IP addresses, or are one name that has all of them"
        ) from None
    if len(families) > 1:
        raise ValueError("the addresses of replicas must be all IPv4 or all IPv6")
    return ",".join(listed)


def _broker_url(url: SecretStr) -> SecretStr:
    BrokerAddress.parse(url.get_secret_value())
    return url


def _result_url(url: SecretStr) -> SecretStr:
    return url if url.get_secret_value() == NO_RESULTS else _broker_url(url)


def _queue_prefix(prefix: str) -> str:
    if not QUEUE_PREFIX.fullmatch(prefix):
        raise ValueError(f"{prefix!r} is not the beginning of a queue's name: letters, digits, '_', '.', '-'")
    return prefix


def _database_url(url: SecretStr) -> SecretStr:
    check_database_url(url.get_secret_value())
    return url


DatabaseUrl = Annotated[SecretStr, AfterValidator(_database_url)]
QueuePrefix = Annotated[str, AfterValidator(_queue_prefix)]
BrokerUrl = Annotated[SecretStr, AfterValidator(_broker_url)]
ResultUrl = Annotated[SecretStr, AfterValidator(_result_url)]
Address = Annotated[str, AfterValidator(host_and_port)]
# Where a service is: host:port, a name or an address; or IP:port of each replica, with commas between.
Replicas = Annotated[str, AfterValidator(_replicas)]
ZoneName = Annotated[str, AfterValidator(_known_zone)]
Port = Annotated[int, Field(ge=0, le=65535)]


class KernelSettings(BaseSettings):
    """Settings of the kernel. They are frozen: nothing can change them while the process runs."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    database_url: DatabaseUrl = Field(
        validation_alias="DATABASE_URL", examples=["postgresql://celeriac:secret@db:5432/celeriac"]
    )
    database_pool_size: int = Field(16, ge=1, validation_alias="CELERIAC_DATABASE_POOL_SIZE", examples=["16"])

    redis_host: str = Field("127.0.0.1", validation_alias="REDIS_HOST", examples=["redis"])
    redis_port: Port = Field(6379, validation_alias="REDIS_PORT", examples=["6379"])
    redis_db_broker: int = Field(0, ge=0, validation_alias="REDIS_DB_BROKER", examples=["0"])
    redis_db_backend: int = Field(1, ge=0, validation_alias="REDIS_DB_BACKEND", examples=["1"])
    redis_password: SecretStr = Field(SecretStr(""), validation_alias="REDIS_PASSWORD", examples=["secret"])

    # The broker as a URL, which says more than the variables above: user, TLS, a Unix socket.
    broker_url: BrokerUrl | None = Field(
        None, validation_alias="CELERIAC_BROKER_URL", examples=["redis://user:password@redis:6379/0"]
    )
    # Where Celery keeps results, or "none"; unset: on the broker, in the database REDIS_DB_BACKEND.
    result_url: ResultUrl | None = Field(
        None, validation_alias="CELERIAC_RESULT_URL", examples=["redis://user:password@redis:6379/1"]
    )

    # Put before the names of the queues that Celeriac's own tasks are on. On a broker that belongs to another
    # application it keeps our workers off queues of the same names.
    queue_prefix: QueuePrefix = Field("", validation_alias="CELERIAC_QUEUE_PREFIX", examples=["celeriac."])
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = Field(
        "INFO", validation_alias="CELERY_LOG_LEVEL", examples=["INFO"]
    )

    listen: Address = Field(
        "127.0.0.1:50051", validation_alias="CELERIAC_LISTEN", examples=["127.0.0.1:50051"]
    )
    metrics_port: Port = Field(0, validation_alias="CELERIAC_METRICS_PORT", examples=["9100"])
    # Factor of the intervals of loops (services.kernel.pace). Tests set it below 1, to wait less.
    pace: float = Field(1.0, gt=0, le=1, validation_alias="CELERIAC_PACE", examples=["1"])
    # Seconds from NOT_SERVING to the refusal of calls: longer than load balancers take to learn of it.
    drain: float = Field(5.0, ge=0, le=300, validation_alias="CELERIAC_DRAIN_SECONDS", examples=["5"])
    # Seconds that calls have to finish after that.
    shutdown_grace: float = Field(20.0, ge=0, validation_alias="CELERIAC_SHUTDOWN_GRACE", examples=["20"])

    tls_ca: Path = Field(validation_alias="CELERIAC_TLS_CA", examples=["/etc/celeriac/ca.pem"])
    tls_certificate: Path = Field(
        validation_alias="CELERIAC_TLS_CERT", examples=["/etc/celeriac/scheduler.crt"]
    )
    tls_key: Path = Field(validation_alias="CELERIAC_TLS_KEY", examples=["/etc/celeriac/scheduler.key"])

    token_keys: Path = Field(validation_alias="CELERIAC_JWKS", examples=["/etc/celeriac/jwks.json"])
    token_issuer: str = Field(
        "https://celeriac.local",
        validation_alias="CELERIAC_TOKEN_ISSUER",
        examples=["https://login.example.com"],
    )
    token_audience: str = Field("celeriac", validation_alias="CELERIAC_TOKEN_AUDIENCE", examples=["celeriac"])

    # How long a second factor is valid after it was given, in seconds.
    second_factor_life: float = Field(
        600.0, ge=30, le=86_400, validation_alias="CELERIAC_SECOND_FACTOR_LIFE", examples=["600"]
    )

    scheduler_address: Replicas = Field(
        "127.0.0.1:50051", validation_alias="CELERIAC_SCHEDULER_ADDRESS", examples=["scheduler:50051"]
    )
    embedder_address: Replicas = Field(
        "127.0.0.1:50052", validation_alias="CELERIAC_EMBEDDER_ADDRESS", examples=["embedder:50052"]
    )
    monitor_address: Replicas = Field(
        "127.0.0.1:50053", validation_alias="CELERIAC_MONITOR_ADDRESS", examples=["monitor:50053"]
    )
    audit_address: Replicas = Field(
        "127.0.0.1:50054", validation_alias="CELERIAC_AUDIT_ADDRESS", examples=["audit:50054"]
    )

    time_zone: ZoneName = Field(
        "Asia/Taipei", validation_alias="CELERIAC_TIME_ZONE", examples=["Asia/Taipei"]
    )
