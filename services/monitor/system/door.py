"""The health of the door, asked over HTTP and mutual TLS: it answers no gRPC calls."""

from __future__ import annotations

import asyncio
import ssl

from services import DOOR
from services.kernel.certificates import Certificates, tls_context
from services.monitor.system.components import Finding, Health, Look

# As the gateway asks it.
READY = "/readyz"
NAME = f"{DOOR}.celeriac.internal"


def door_look(replicas: str, certificates: Certificates) -> Look:
    """Returns a check that asks each replica ("host:port,…") whether it serves."""
    contexts: dict[int, ssl.SSLContext] = {}

    async def look() -> Finding:
        pem = certificates.newest()
        if certificates.version not in contexts:
            contexts.clear()
            contexts[certificates.version] = tls_context(pem, ssl.PROTOCOL_TLS_CLIENT)
        context = contexts[certificates.version]
        addresses = replicas.split(",")
        faults = [fault for each in addresses if (fault := await _fault_of(each, context))]
        if not faults:
            return Finding(Health.HEALTHY, "serving")
        health = Health.UNHEALTHY if len(faults) == len(addresses) else Health.DEGRADED
        return Finding(health, "; ".join(faults), asked=False)

    return look


async def _fault_of(address: str, context: ssl.SSLContext) -> str:
    """Returns what is wrong with a replica; "" if nothing is."""
    host, _, port = address.rpartition(":")
    try:
        reader, writer = await asyncio.open_connection(
            host.strip("[]"), int(port), ssl=context, server_hostname=NAME
        )
        try:
            writer.write(f"GET {READY} HTTP/1.1\r\nhost: {NAME}\r\nconnection: close\r\n\r\n".encode())
            status = (await reader.readline()).split()[1:2]
        finally:
            writer.close()
    except OSError as error:
        return f"{address}: {error.strerror or error}"
    return "" if status == [b"200"] else f"{address}: it says that it does not serve: it starts or stops"
