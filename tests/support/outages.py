"""What a database does to its clients: it ends their connections, or is not ready for them yet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import asyncpg
from sqlalchemy.engine import make_url


async def end_connections(database_url: str) -> None:
    """Ends all that the database has; the server is done with them when this returns."""
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(
            "SELECT pg_terminate_backend(pid, 20000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend'"
        )
    finally:
        await connection.close()


@asynccontextmanager
async def closed(database_url: str) -> AsyncIterator[None]:
    """The database takes no connections, and those that there were have ended."""
    url = make_url(database_url)
    admin = await asyncpg.connect(url.set(database="postgres").render_as_string(hide_password=False))
    try:
        await admin.execute(f"ALTER DATABASE {url.database} ALLOW_CONNECTIONS false")
        await admin.execute(
            "SELECT pg_terminate_backend(pid, 20000) FROM pg_stat_activity WHERE datname = $1", url.database
        )
        yield
    finally:
        await admin.execute(f"ALTER DATABASE {url.database} ALLOW_CONNECTIONS true")
        await admin.close()


@contextmanager
def first_line_of(path: Path, line: str) -> Iterator[None]:
    """Of a pg_hba.conf, the line that counts; it is in force once the server has read the file again."""
    before = path.read_text()
    path.write_text(f"{line}\n{before}")
    try:
        yield
    finally:
        path.write_text(before)


@asynccontextmanager
async def refusing_server(sqlstate: str) -> AsyncIterator[str]:
    """The URL of a server that turns everyone away, as PostgreSQL does while it starts or is full."""
    fields = f"SFATAL\0VFATAL\0C{sqlstate}\0Mnot now\0\0".encode()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = int.from_bytes(await reader.readexactly(4))
        asked = await reader.readexactly(length - 4)
        if asked == (80877103).to_bytes(4):  # whether it speaks TLS
            writer.write(b"N")
            length = int.from_bytes(await reader.readexactly(4))
            await reader.readexactly(length - 4)
        writer.write(b"E" + (len(fields) + 4).to_bytes(4) + fields)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield f"postgresql://somebody@127.0.0.1:{port}/something"
