"""Real servers, once per session; a fresh database per test module."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from xdist.remote import Producer

from deploy.standalone.certificates import ensure_audit_key, ensure_certificates
from deploy.standalone.tokens import LocalIssuer
from tests.support import forked, kept_logs
from tests.support.examples import examples
from tests.support.models import embedded_model as make_embedded_model
from tests.support.scheduling import ByModule
from tests.support.secrets_in_logs import Search, remember_files
from tests.support.servers import (
    Valkey,
    create_database,
    create_migrated_database,
    make_template,
    temporary_postgres,
    temporary_valkey,
)

# How long an example takes says more of the machine than of the code.
# Continuous integration tries the same examples each time, so that a change is what makes it fail.
hypothesis.settings.register_profile(
    "noisy",
    max_examples=examples(100),
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    derandomize="CI" in os.environ,
)
hypothesis.settings.load_profile("noisy")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByModule:
    return ByModule(config, log)


@pytest.fixture(scope="session", autouse=True)
def logs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Search]:
    """Keeps the logs of all processes, and looks through them when all have ended."""
    search = kept_logs.keep_in(tmp_path_factory.mktemp("logs"))
    yield search
    search.refuse("the end of the session", whole=True)


@pytest.fixture(scope="session", autouse=True)
def nurseries(logs: Search) -> Iterator[None]:
    """Services and workers are forked from processes that have imported their modules."""
    with forked.nurseries():
        yield


@pytest.fixture(scope="module", autouse=True)
def no_secret_in_logs(request: pytest.FixtureRequest, logs: Search) -> Iterator[None]:
    """Fails at the end of the module while which a secret was written into any process's log."""
    yield
    logs.refuse(str(request.path.relative_to(request.config.rootpath)))


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL server, as its superuser; with the template of migrated databases."""
    with temporary_postgres(fsync=False) as url:
        asyncio.run(make_template(url))
        yield url


@pytest.fixture(scope="module")
def database_url(postgres_url: str) -> str:
    """A fresh database for each test module, with all tables and nothing in them."""
    return asyncio.run(create_migrated_database(postgres_url))


@pytest.fixture
def own_database_url(postgres_url: str) -> str:
    """A fresh database for one test: of several monitors on one database, only one writes."""
    return asyncio.run(create_migrated_database(postgres_url))


@pytest.fixture(scope="module")
def empty_database_url(postgres_url: str) -> str:
    """A fresh database for each test module, for tests of the migrations themselves."""
    return asyncio.run(create_database(postgres_url))


@pytest.fixture(scope="session")
def valkey() -> Iterator[Valkey]:
    """A Valkey server; a module that needs it empty calls `valkey.flush()`."""
    with temporary_valkey() as server:
        yield server


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with `ca.pem` and `certs/<component>.crt|.key`."""
    state = tmp_path_factory.mktemp("state")
    ensure_certificates(state)
    return state


@pytest.fixture(scope="session")
def tokens(certificates: Path) -> LocalIssuer:
    """Mints tokens that services started with this state's `jwks.json` accept."""
    issuer = LocalIssuer(certificates)
    issuer.ensure_key()
    remember_files(*(certificates / "keys").glob("*.pem"))
    return issuer


@pytest.fixture(scope="session")
def audit_key(certificates: Path) -> Path:
    """The key that signs the audit log's checkpoints."""
    return ensure_audit_key(certificates)


@pytest.fixture(scope="session")
def embedded_model() -> Path:
    """The embedded model's folder; made the first time, kept between sessions."""
    return make_embedded_model()
