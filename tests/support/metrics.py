"""Figures from a service's Prometheus endpoint."""

from __future__ import annotations

import http.client
import urllib.request


def scraped(port: int) -> str:
    """All that the endpoint tells."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            told: str = answer.read().decode()
    except http.client.IncompleteRead as cut:
        # Of a process that was killed meanwhile; urllib takes it for no error of the network.
        raise ConnectionResetError("the answer was cut off") from cut
    return told


def scraped_value(port: int, name: str) -> float:
    """A figure without labels."""
    lines = scraped(port).splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(f"{name} ")))
