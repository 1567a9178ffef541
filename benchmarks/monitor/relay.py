"""The relay, in a process of its own as it is in the system: python -m benchmarks.monitor.relay host port

Prints "ready" once it listens, copies events until a line comes on its standard input, and prints what it
used as one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time

import redis.asyncio
import uvloop

from services.kernel import logging
from services.kernel.broker_address import BrokerAddress
from services.monitor.intake.kept_events import KeptStream
from services.monitor.intake.relay import EventRelay
from services.monitor.intake.subscription import EventSource

# The number of the server's database that the stream is in; the broker is 0.
DATABASE = 2
# As the setting's default.
MOST_BYTES = 256 * 1024 * 1024


async def main(host: str, port: int) -> None:
    logging.configure("relay", "WARNING")
    async with redis.asyncio.Redis(host=host, port=port, db=DATABASE) as store:
        relay = EventRelay(EventSource(BrokerAddress(host, port)), KeptStream(store), MOST_BYTES)
        running = asyncio.create_task(relay.run())
        while not relay.listening:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        before = time.process_time()
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        used = {
            "cpu": time.process_time() - before,
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    print(json.dumps(used), flush=True)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2])))
