"""Sending over channels that misbehave: what is told of it, and what is left behind."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from pathlib import Path

import psutil
import pytest

from services.monitor.alerts import sending
from services.monitor.alerts.channels import Channel


def program(folder: Path, text: str) -> tuple[str, str]:
    """A program in the place of the one that calls Apprise, as a plugin that misbehaves makes it."""
    path = folder / "program.py"
    path.write_text(f"import subprocess, sys, time\n{text}\n")
    return "-u", str(path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("print('hello')", "did not say what came of it"),
        ("print('[1]')", "did not say what came of it"),
        ("sys.exit(3)", "ended with 3"),
        ("sys.stdin.close(); print('{}')", "did not say what came of it"),
    ],
)
async def test_whatever_goes_wrong_is_a_reason(
    text: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "PROGRAM", program(tmp_path, text))
    assert reason in await sending.send(Channel("ops", "json://x"), "title", "body" * 100_000)


async def test_no_process_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert "No such file" in await sending.send(Channel("ops", "json://x"), "title", "body")


async def test_what_hangs_is_ended_with_what_it_started_and_floods_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        "child = subprocess.Popen(['sleep', '600'])\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid))\n"
        "while True: sys.stderr.write('x' * 1_000_000)"
    )
    monkeypatch.setattr(sending, "PROGRAM", program(tmp_path, text))
    monkeypatch.setattr(sending, "MOST_SECONDS", 2.0)
    before = psutil.Process().memory_info().rss
    assert "did not answer within 2 s" in await sending.send(Channel("ops", "json://x"), "title", "body")
    assert psutil.Process().memory_info().rss - before < 50_000_000
    child = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 10
    while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    "said",
    [
        "An invalid token (T0KENPART) was specified",
        "can't reach https://hooks.example.org/t0kenpart/0therPart",
        "the password p@ss/wörd! is wrong",
        "the password p%40ss%2Fw%C3%B6rd%21 is wrong",
    ],
)
async def test_no_part_of_an_address_is_told(
    said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "chat://mei:p%40ss%2Fw%C3%B6rd%21@T0KENPART/0therPart/?key=abc"
    monkeypatch.setattr(
        sending, "PROGRAM", program(tmp_path, f"import json; print(json.dumps(dict(error={said!r})))")
    )
    error = await sending.send(Channel("ops", url), "title", "body")
    assert error
    assert not any(part in error.lower() for part in ("t0ken", "0ther", "p@ss", "p%40ss", "wörd", "w%c3"))


async def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"json://mei:s3cr3t-p4ssword@127.0.0.1:{free.getsockname()[1]}/hidden-path"
        error = await sending.send(Channel("ops", url), "title", "body")
    assert error
    assert "s3cr3t" not in error
    assert "hidden" not in error
