"""Clients of the WebSocket, in a process of their own: many sockets, each with ten messages a second.

    python -m benchmarks.door.client PORT CA SECONDS SOCKETS shared|apart < tokens

The tokens come a line each on standard input. Prints one line of JSON when all sockets are open, and one with
what came over them within the seconds after that.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

import websockets

from services.door.live.messages import SUBPROTOCOL
from services.door.paths import LIVE

# The names of the tasks whose events are published.
NAMES = [f"task-{number}" for number in range(5)]
AT_ONCE = 20


def wish(number: int, apart: bool) -> str:
    """Figures five times a second, and changes of all tasks five times a second.

    `apart`: worded for each socket in its own way, though it means the same.
    """
    names = [*NAMES, f"of-no-task-{number}"] if apart else NAMES
    intervals = {"metrics_interval": "0.2s", "task_interval": "0.2s"}
    return json.dumps({"subscribe": {**intervals, "tasks": {"task_names": names}}})


@dataclass
class Seen:
    """What came over all sockets while it `counts`."""

    messages: Counter[str] = field(default_factory=Counter)
    characters: int = 0
    skipped: int = 0
    counts: bool = False

    def note(self, text: str) -> None:
        if not self.counts:
            return
        # Clients share the machine with what is measured: not every message is parsed.
        kind = text[9 : text.index('"', 9)]
        self.messages[kind] += 1
        self.characters += len(text)
        if kind == "skipped":
            self.skipped += json.loads(text)["data"]["count"]


async def main(port: int, ca: str, seconds: float, sockets: int, apart: bool, tokens: list[str]) -> None:
    context = ssl.create_default_context(cafile=ca)
    url = f"wss://127.0.0.1:{port}{LIVE}"
    seen, slots, opened = Seen(), asyncio.Semaphore(AT_ONCE), asyncio.Event()
    waiting = sockets

    async def one(number: int) -> None:
        nonlocal waiting
        async with slots:
            socket = await websockets.connect(
                url,
                ssl=context,
                additional_headers={"authorization": f"Bearer {tokens[number % len(tokens)]}"},
                subprotocols=[SUBPROTOCOL],  # type: ignore[list-item]  # a NewType of str
                compression=None,
                open_timeout=60,
                proxy=None,
            )
            await socket.recv()
            await socket.send(wish(number, apart))
        waiting -= 1
        if not waiting:
            opened.set()
        async with socket:
            async for text in socket:
                assert isinstance(text, str)
                seen.note(text)

    running = [asyncio.create_task(one(number)) for number in range(sockets)]
    while not opened.is_set():
        for task in running:
            if task.done():
                task.result()
        await asyncio.sleep(0.1)
    await asyncio.sleep(2)
    say({"open": sockets})
    seen.counts = True
    started = time.perf_counter()
    await asyncio.sleep(seconds)
    seen.counts = False
    took = time.perf_counter() - started
    say(
        {
            "messages": seen.messages.total() / took,
            "kinds": dict(seen.messages),
            "characters": seen.characters / max(1, seen.messages.total()),
            "skipped": seen.skipped,
            "left": sum(not task.done() for task in running),
        }
    )
    for task in running:
        task.cancel()


def say(what: object) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    given = [line.strip() for line in sys.stdin if line.strip()]
    asyncio.run(
        main(
            int(sys.argv[1]), sys.argv[2], float(sys.argv[3]), int(sys.argv[4]), sys.argv[5] == "apart", given
        )
    )
