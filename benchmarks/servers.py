"""What benchmarks run on: the same real servers and service processes as the tests'."""

from tests.support.processes import ServiceProcess, as_its_role, environment_of, migrate, running_service
from tests.support.servers import Servers, Valkey, temporary_postgres, temporary_servers, temporary_valkey

__all__ = [
    "ServiceProcess",
    "Servers",
    "Valkey",
    "as_its_role",
    "environment_of",
    "migrate",
    "running_service",
    "temporary_postgres",
    "temporary_servers",
    "temporary_valkey",
]
