"""Measures of the machine that the monitor runs on."""

from __future__ import annotations

from collections.abc import Mapping

from services.monitor.measuring.measures import Values, whole
from services.monitor.system.host import HostFigures

# Rates and the share of the CPU are averages since the reading before, if that is not longer ago than this.
OLD_SECONDS = 60.0


class HostMeasures:
    """With samples of its own: those for people are taken when somebody asks, in intervals of any length."""

    def __init__(self) -> None:
        self._figures = HostFigures(OLD_SECONDS)

    async def read(self) -> Mapping[str, Values]:
        host = await self._figures.now()
        return {
            "cpu_percent": whole(host.cpu_percent),
            "memory_available_bytes": whole(host.memory_available),
            "memory_total_bytes": whole(host.memory_total),
            "load_average": whole(host.load_average[0]),
            "network_received_per_second": whole(host.received_per_second),
            "network_sent_per_second": whole(host.sent_per_second),
            "disk_used_percent": {
                disk.path: 100.0 * (disk.total - disk.free) / disk.total for disk in host.disks
            },
        }
