"""The embedder's bulk path beside its own model, fed directly: make bench AREA=embedder.

Both use as many processes and threads, and take turns; medians count. Ours reads the texts from PostgreSQL,
goes through the broker, and writes the vectors; the peer does nothing but run batches.
"""

from __future__ import annotations

import os
import statistics

from benchmarks import supervised
from benchmarks.embedder import ours, peer, texts
from benchmarks.report import Measure, quick, report
from benchmarks.servers import temporary_servers
from tests.support.models import embedded_model

GOAL = 0.90


def main() -> None:
    count, repetitions = (500, 1) if quick() else (3000, 3)
    # PROCESSES=1 THREADS=2 compares another way to use two cores.
    processes, threads = int(os.environ.get("PROCESSES", "2")), int(os.environ.get("THREADS", "1"))
    folder, messages = embedded_model(), texts.messages(count)
    rates, peers = [], []
    with (
        temporary_servers() as servers,
        peer.running(folder, [message.text for message in messages], processes, threads) as direct,
        ours.running(servers, folder, messages, processes, threads) as bulk,
    ):
        bulk.rate()  # the database's and the allocators' first time
        direct.rate()
        for _ in range(repetitions):
            rates.append(bulk.rate())
            peers.append(direct.rate())
            print(f"ours {rates[-1]:,.1f}, the session alone {peers[-1]:,.1f} texts/s", flush=True)
    value, other = statistics.median(rates), statistics.median(peers)
    ratio = statistics.median(ours / theirs for ours, theirs in zip(rates, peers, strict=True))
    name = f"bulk path, {count:,} messages, {processes} x {threads} threads"
    report([Measure(name, value, "texts/s", other, ratio, f"{GOAL:.0%} of the session", ratio >= GOAL)])


if __name__ == "__main__":
    supervised.run(main)
