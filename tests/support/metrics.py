"""Figures from a service's Prometheus endpoint."""

from __future__ import annotations

import urllib.request


def scraped(port: int) -> str:
    """All that the endpoint tells."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        told: str = answer.read().decode()
    return told


def scraped_value(port: int, name: str) -> float:
    """A figure without labels."""
    lines = scraped(port).splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(f"{name} ")))
