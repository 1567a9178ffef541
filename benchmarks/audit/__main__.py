"""The audit log beside an ordinary table on one PostgreSQL: make bench AREA=audit.

- append: entries a second through AuditService.Append, by four relays, beside pgbench's single-row inserts
  into an ordinary table with the same columns and indexes;
- verify: entries a second that Verify reads and proves.

Runs of ours and of the peer take turns; medians count.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
from pathlib import Path

from benchmarks import supervised
from benchmarks.audit import ours, peer
from benchmarks.report import Measure, quick, report
from benchmarks.servers import environment_of, migrate, running_service, temporary_servers
from deploy.standalone.certificates import ensure_audit_key, ensure_certificates
from deploy.standalone.tokens import LocalIssuer

GOAL = "the peer's rate"


def main() -> None:
    repetitions, count, seconds = (1, 20_000, 4) if quick() else (5, 60_000, 8)
    appends, peers, verifications = [], [], []
    with temporary_servers() as servers, tempfile.TemporaryDirectory(prefix="celeriac-bench-") as folder:
        state = Path(folder)
        ensure_certificates(state)
        issuer = LocalIssuer(state)
        issuer.ensure_key()
        key = ensure_audit_key(state)
        environment = environment_of(
            "audit", state, servers.database_url, CELERIAC_AUDIT_KEY=str(key), CELERY_LOG_LEVEL="WARNING"
        )
        migrate("audit", environment)
        with running_service("audit", state, environment) as service:
            asyncio.run(peer.make_table(servers))
            for _ in range(repetitions):
                appends.append(asyncio.run(ours.append_rate(state, service, count)))
                peers.append(peer.rate(servers, seconds))
                token = issuer.mint("admin")
                verifications.append(asyncio.run(ours.verify_rate(state, service, token)))
    ours_rate, peer_rate = statistics.median(appends), statistics.median(peers)
    ratio = ours_rate / peer_rate
    report(
        [
            Measure("append", ours_rate, "entries/s", peer_rate, ratio, GOAL, ratio >= 1),
            Measure("verify", statistics.median(verifications), "entries/s"),
        ]
    )


if __name__ == "__main__":
    supervised.run(main)
