"""What one monitor has kept, the next one tells, and goes on with."""

from __future__ import annotations

from pathlib import Path

from celeriac.monitor.v1 import snapshots_pb2 as pb

from deploy.standalone.tokens import LocalIssuer
from tests.support.calls import eventually
from tests.support.monitors import Monitor, running_monitor
from tests.support.servers import Valkey


def times(monitor: Monitor) -> list[int]:
    answer = monitor.monitoring.ListSnapshots(pb.ListSnapshotsRequest())
    return [each.time.seconds for each in answer.snapshots]


def test_snapshots_outlive_the_monitors_that_made_them(
    certificates: Path, tokens: LocalIssuer, own_database_url: str, broker: Valkey
) -> None:
    with running_monitor(certificates, tokens, own_database_url, broker) as first:
        kept = eventually(lambda: times(first), seconds=60)
        # Another beside it adds nothing, and tells the same.
        with running_monitor(certificates, tokens, own_database_url, broker) as beside:
            assert kept[0] in times(beside)
    with running_monitor(certificates, tokens, own_database_url, broker) as second:
        assert set(kept) <= set(times(second))
        eventually(lambda: times(second)[0] > kept[0], seconds=60)
        found = times(second)
        assert found == sorted(set(found), reverse=True) and all(each % 10 == 0 for each in found)
