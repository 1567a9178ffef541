"""Settings: read from the environment, refused with name, fault and example, printed without secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.kernel import database_address
from services.kernel.broker import backend_url, broker_url
from services.kernel.settings import KernelSettings
from services.kernel.variables import read

NEEDED = {
    "DATABASE_URL": "postgresql://celeriac:hush@db/celeriac",
    "CELERIAC_TLS_CA": "ca.pem",
    "CELERIAC_TLS_CERT": "a.crt",
    "CELERIAC_TLS_KEY": "a.key",
    "CELERIAC_JWKS": "jwks.json",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in NEEDED.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_the_names_known_from_celery_deployments_work(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("REDIS_HOST", "redis.internal")
    environment.setenv("REDIS_PORT", "6390")
    environment.setenv("REDIS_DB_BROKER", "4")
    environment.setenv("REDIS_DB_BACKEND", "5")
    environment.setenv("REDIS_PASSWORD", "p@ss/word")
    settings = read(KernelSettings)
    assert broker_url(settings) == "redis://:p%40ss%2Fword@redis.internal:6390/4"
    assert backend_url(settings) == "redis://:p%40ss%2Fword@redis.internal:6390/5"


def test_secrets_do_not_show_when_the_settings_are_printed(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("REDIS_PASSWORD", "p@ss/word")
    settings = read(KernelSettings)
    for shown in (repr(settings), str(settings.model_dump(mode="json"))):
        assert "hush" not in shown
        assert "p@ss" not in shown


def test_each_wrong_variable_is_named_with_its_fault_and_an_example(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.delenv("DATABASE_URL")
    environment.setenv("REDIS_PORT", "99999")
    environment.setenv("CELERIAC_LISTEN", "localhost")
    environment.setenv("CELERIAC_TIME_ZONE", "Asia/Taipai")
    with pytest.raises(SystemExit) as refused:
        read(KernelSettings)
    text = str(refused.value)
    assert "DATABASE_URL: Field required; for example: DATABASE_URL=postgresql://" in text
    assert "REDIS_PORT: Input should be less than or equal to 65535; for example: REDIS_PORT=6379" in text
    assert "'localhost' is not host:port; for example: CELERIAC_LISTEN=127.0.0.1:50051" in text
    assert (
        "'Asia/Taipai' is not a zone of the IANA database; for example: CELERIAC_TIME_ZONE=Asia/Taipei"
        in text
    )


@pytest.mark.parametrize("name", ["localtime", "Factory"])
def test_the_zone_is_the_same_on_every_machine(environment: pytest.MonkeyPatch, name: str) -> None:
    environment.setenv("CELERIAC_TIME_ZONE", name)
    with pytest.raises(SystemExit, match="is not a zone of the IANA database"):
        read(KernelSettings)


def test_settings_do_not_change_once_read(environment: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="frozen"):
        setattr(read(KernelSettings), "redis_port", 1)  # noqa: B010 # mypy knows it, too


def test_a_service_may_have_several_addresses(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("CELERIAC_AUDIT_ADDRESS", "10.0.0.5:50051, 10.0.0.6:50051")
    environment.setenv("CELERIAC_MONITOR_ADDRESS", "[fd00::5]:50051,[fd00::6]:50051")
    environment.setenv("CELERIAC_EMBEDDER_ADDRESS", "embedder.internal:50051")
    settings = read(KernelSettings)
    assert settings.audit_address == "10.0.0.5:50051,10.0.0.6:50051"
    assert settings.monitor_address == "[fd00::5]:50051,[fd00::6]:50051"
    assert settings.embedder_address == "embedder.internal:50051"


@pytest.mark.parametrize(
    ("addresses", "fault"),
    [
        ("audit-1:50051,audit-2:50051", "IP addresses"),
        ("10.0.0.5:50051,[fd00::6]:50051", "all IPv4 or all IPv6"),
        ("10.0.0.5:50051,", "not host:port"),
        ("10.0.0.5", "not host:port"),
    ],
)
def test_a_list_that_grpc_would_not_take_is_refused(
    addresses: str, fault: str, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("CELERIAC_AUDIT_ADDRESS", addresses)
    with pytest.raises(SystemExit, match=fault):
        read(KernelSettings)


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("mysql://x", "it does not begin with postgresql://"),
        ("postgresql://u@db:abc/celeriac", "the port 'abc' is not a number up to 65535"),
        ("postgresql://u@one:5432,two:70000/celeriac", "the port '70000' is not a number up to 65535"),
        ("postgresql://u@db/celeriac?sslmode=on", "sslmode is none of disable, allow, prefer, require,"),
        ("postgresql://u@db/celeriac?sslmode=verify-full", "sslmode=verify-full needs sslrootcert"),
        ("postgresql://u@db/celeriac?sslrootcert=/nowhere.pem", "sslrootcert names no file: /nowhere.pem"),
    ],
)
def test_a_database_url_that_can_not_work_is_told_at_once(
    environment: pytest.MonkeyPatch, url: str, fault: str
) -> None:
    environment.setenv("DATABASE_URL", url)
    environment.setattr(database_address, "ROOT_CERTIFICATE", Path("/nowhere"))
    with pytest.raises(SystemExit) as refused:
        read(KernelSettings)
    assert f"\n  DATABASE_URL: {fault}" in str(refused.value)
    assert "for example: DATABASE_URL=postgresql://celeriac:secret@db:5432/celeriac" in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u@db/celeriac",
        "postgres://u:p%40ss@[::1]:5432/celeriac?sslmode=require",
        "postgresql+asyncpg://u@one:5432,two:5433/celeriac?target_session_attrs=read-write",
        "postgresql:///celeriac?host=/var/run/postgresql",
        f"postgresql://u@db/celeriac?sslmode=verify-full&sslrootcert={__file__}",
    ],
)
def test_a_database_url_of_any_usual_form_is_taken(environment: pytest.MonkeyPatch, url: str) -> None:
    environment.setenv("DATABASE_URL", url)
    assert read(KernelSettings).database_url.get_secret_value() == url


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgresql://mei:hush@db:5432/celeriac?sslmode=require", "db:5432/celeriac"),
        ("postgresql://mei:hush@/celeriac?host=/run/postgresql", "/run/postgresql/celeriac"),
        ("postgresql:///celeriac", "localhost/celeriac"),
    ],
)
def test_a_database_is_named_without_its_password(url: str, place: str) -> None:
    assert database_address.place_of(url) == place
