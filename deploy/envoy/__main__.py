"""python -m deploy.envoy: writes the gateway's configuration, to run Envoy outside the one-machine system."""

from __future__ import annotations

import argparse
from pathlib import Path

from deploy.envoy.generate import write_gateway_config
from deploy.envoy.settings import load_settings
from services import SERVICES


def main() -> None:
    arguments = _parser().parse_args()
    upstreams = dict(_named(upstream) for upstream in arguments.upstream)
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
        metavar="SERVICE=HOST:PORT",
        help=f"one for each of {', '.join(SERVICES)}: scheduler=scheduler.internal:50051",
    )
    return parser


def _named(upstream: str) -> tuple[str, str]:
    service, _, address = upstream.partition("=")
    host, _, port = address.rpartition(":")
    if service not in SERVICES or not host or not port.isdecimal():
        raise SystemExit(
            f"--upstream {upstream}: not SERVICE=HOST:PORT; for example: scheduler=10.0.0.5:50051"
        )
    return service, address


if __name__ == "__main__":
    main()
