"""The gateway's settings, from the environment; each has a default that suits a small team."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, IPvAnyNetwork, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from services.kernel.variables import read


def _origin(origin: str) -> str:
    scheme, _, rest = origin.partition("://")
    if scheme not in {"http", "https"} or not rest or "/" in rest or "*" in rest:
        raise ValueError(f"{origin!r} is not an origin (scheme://host:port, without a path)")
    return origin


Origin = Annotated[str, AfterValidator(_origin)]


class GatewaySettings(BaseSettings):
    """The gateway's settings. Items of a list are separated by commas."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    listen_host: str = Field("127.0.0.1", validation_alias="CELERIAC_GATEWAY_HOST", examples=["0.0.0.0"])
    issuer: str = Field(
        "https://celeriac.local",
        validation_alias="CELERIAC_TOKEN_ISSUER",
        examples=["https://login.example.com"],
    )
    audience: str = Field("celeriac", validation_alias="CELERIAC_TOKEN_AUDIENCE", examples=["celeriac"])
    # Tells this copy of the system from others on the same host: the sign-in's cookie has it in its name. The
    # door has the same one.
    instance: str = Field(
        "main", pattern="^[a-z0-9-]{1,32}$", validation_alias="CELERIAC_INSTANCE", examples=["main"]
    )
    # Calls a second that one subject (or one address, where no token is needed) may make for any time.
    rate: int = Field(200, ge=1, validation_alias="CELERIAC_GATEWAY_RATE", examples=["200"])
    # Calls that it may make at once.
    burst: int = Field(1000, ge=1, validation_alias="CELERIAC_GATEWAY_BURST", examples=["1000"])
    # How many proxies of your own are in front of the gateway: their x-forwarded-for is trusted.
    trusted_proxies: int = Field(
        0, ge=0, le=10, validation_alias="CELERIAC_GATEWAY_TRUSTED_PROXIES", examples=["1"]
    )
    # Services take messages up to 8 MiB (services/kernel/grpc/decode.py).
    max_request_bytes: int = Field(
        8 * 1024 * 1024,
        ge=1024,
        le=1024**3,
        validation_alias="CELERIAC_GATEWAY_MAX_REQUEST_BYTES",
        examples=["8388608"],
    )
    cors_origins: Annotated[tuple[Origin, ...], NoDecode] = Field(
        (), validation_alias="CELERIAC_GATEWAY_CORS_ORIGINS", examples=["https://ops.example.com"]
    )
    # Networks from which connections are accepted; all when empty.
    allowed_sources: Annotated[tuple[IPvAnyNetwork, ...], NoDecode] = Field(
        (), validation_alias="CELERIAC_GATEWAY_ALLOW", examples=["10.0.0.0/8,127.0.0.1/32"]
    )

    @field_validator("cors_origins", "allowed_sources", mode="before")
    @classmethod
    def _split(cls, listed: object) -> object:
        return (
            [part.strip() for part in listed.split(",") if part.strip()]
            if isinstance(listed, str)
            else listed
        )


def load_settings() -> GatewaySettings:
    """Reads the settings. Raises SystemExit that names each wrong variable, with its fault and an example."""
    return read(GatewaySettings)
