"""python -m deploy.envoy: writes the gateway's configuration, to run Envoy outside the one-machine system."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from pathlib import Path

from deploy.envoy.generate import write_gateway_config
from deploy.envoy.settings import load_settings
from services import DOOR, SERVICES
from services.kernel.settings import host_and_port

UPSTREAMS = (*SERVICES, DOOR)
EXPECTED = "not SERVICE=HOST:PORT; for example: scheduler=10.0.0.5:50051,10.0.0.6:50051"


def main() -> None:
    arguments = _parser().parse_args()
    upstreams = _from_environment()
    upstreams |= _named(arguments.upstream)
    try:
        config = write_gateway_config(
            arguments.folder,
            arguments.state,
            arguments.port,
            arguments.admin_socket or arguments.folder / "admin.sock",
            upstreams,
            load_settings(),
        )
    except ValueError as error:
        raise SystemExit(f"can't write the configuration: {error}") from None
    print(config)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.envoy",
        description="Writes envoy.yaml and the contracts' descriptors, and prints the path of the former.",
        epilog="Settings are read from the environment (CELERIAC_GATEWAY_…); docs/gateway.md lists them.",
    )
    parser.add_argument("--folder", type=Path, required=True, help="where to write: /etc/celeriac/envoy")
    parser.add_argument(
        "--state", type=Path, required=True, help="holds ca.pem, certs/gateway.crt|key and jwks.json"
    )
    parser.add_argument("--port", type=int, default=8443, help="of the gateway; 8443 when not said")
    parser.add_argument(
        "--admin-socket", type=Path, help="of Envoy's admin page; admin.sock in the folder when not said"
    )
    parser.add_argument(
        "--upstream",
        action="append",
        default=[],
        metavar="SERVICE=HOST:PORT,…",
        help=f"the replicas of each of {', '.join(UPSTREAMS)}: scheduler=10.0.0.5:50051,10.0.0.6:50051; "
        "of those not said, CELERIAC_SCHEDULER_ADDRESS and so on",
    )
    return parser


def _from_environment() -> dict[str, list[str]]:
    variables = {service: f"CELERIAC_{service.upper()}_ADDRESS" for service in UPSTREAMS}
    return {
        service: _addresses(os.environ[variable], variable)
        for service, variable in variables.items()
        if variable in os.environ
    }


def _named(upstreams: Iterable[str]) -> dict[str, list[str]]:
    """Returns the addresses of each service; one that is named several times has all of them."""
    named: dict[str, list[str]] = {}
    for upstream in upstreams:
        service, _, addresses = upstream.partition("=")
        if service not in UPSTREAMS:
            raise SystemExit(f"--upstream {upstream}: {EXPECTED}")
        named.setdefault(service, []).extend(_addresses(addresses, f"--upstream {upstream}"))
    return named


def _addresses(listed: str, where: str) -> list[str]:
    try:
        return [host_and_port(address.strip()) for address in listed.split(",")]
    except ValueError:
        raise SystemExit(f"{where}: {EXPECTED}") from None


if __name__ == "__main__":
    main()
