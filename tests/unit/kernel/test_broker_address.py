"""Broker URLs: what is read, how each library gets it, and what is refused by name."""

from __future__ import annotations

import pytest
import redis.asyncio
from kombu import Connection

from services.kernel.broker_address import BrokerAddress, WrongAddress
from services.kernel.settings import KernelSettings
from services.kernel.variables import read
from tests.unit.kernel.test_settings import NEEDED


@pytest.mark.parametrize(
    "url",
    [
        "redis://redis:6379/0",
        "redis://:p%40ss@redis:6390/4",
        "redis://mei:p%40ss%2Fword@redis:6379/0",
        "rediss://mei:secret@redis:6380/2?ssl_ca_certs=/etc/ca.pem&ssl_certfile=/me.crt&ssl_keyfile=/me.key",
        "rediss://redis:6380/0?ssl_cert_reqs=none",
        "unix:///run/valkey.sock?db=3",
        "redis+socket:///run/valkey.sock?virtual_host=3",
        "redis://[::1]:6379/1",
    ],
)
def test_each_library_is_told_the_same_server(url: str) -> None:
    address = BrokerAddress.parse(url)
    assert BrokerAddress.parse(address.for_redis) == address == BrokerAddress.parse(address.for_celery)
    arguments = redis.asyncio.Redis.from_url(address.for_redis).connection_pool.connection_kwargs
    assert arguments.get("host", "") == address.host
    assert arguments.get("path", "") == address.path
    assert arguments.get("db", 0) == address.database
    assert (arguments.get("username") or "", arguments.get("password") or "") == (
        address.user,
        address.password,
    )
    with Connection(address.for_celery) as connection:
        assert connection.transport_cls == "redis" or connection.transport_cls == "rediss"


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("amqp://rabbit:5672/", "does not begin with redis://"),
        ("sentinel://a:26379;sentinel://b:26379", "sentinel:// is not supported yet"),
        ("redis://redis:6379/jobs", "its database is not a number"),
        ("redis://redis:70000/0", "its port is not a number up to 65535"),
        ("redis:///0", "it names no host"),
        ("unix://", "it names no socket"),
        ("redis://redis/0?ssl_ca_certs=/ca.pem", "options that are not known: ssl_ca_certs"),
        ("rediss://redis/0?ssl_cert_reqs=maybe", "ssl_cert_reqs is none of required"),
    ],
)
def test_what_is_no_such_address_is_refused_without_a_word_of_the_secret(url: str, fault: str) -> None:
    with pytest.raises(WrongAddress) as refused:
        BrokerAddress.parse(url.replace("://", "://mei:hunter2@", 1))
    assert fault in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_a_wrong_url_in_the_settings_is_refused_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**NEEDED, "CELERIAC_BROKER_URL": "amqp://mei:hunter2@rabbit"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as refused:
        read(KernelSettings)
    assert "CELERIAC_BROKER_URL: " in str(refused.value)
    assert "redis://user:password@redis:6379/0" in str(refused.value)
    assert "hunter2" not in str(refused.value)
