"""`celeriac search` and `embed`."""

from __future__ import annotations

from typing import Any

import click

from celeriac.cli.manifests import read_text
from celeriac.cli.options import within
from celeriac.cli.output import Column
from celeriac.cli.session import Session, command

FOUND = [
    Column("MESSAGE", lambda found: found.message.id),
    Column("SCORE", lambda found: f"{found.score:.3f}"),
    Column("TIME", lambda found: found.message.create_time),
    Column("ROLE", lambda found: str(found.message.role or "").lower()),
    Column("TEXT", lambda found: found.message.text),
    Column("CONVERSATION", lambda found: found.message.conversation.partition("/")[2], wide=True),
]


@command("search")
@click.argument("text")
@click.option("-k", "--limit", "k", type=click.IntRange(1), default=10, show_default=True, help="How many.")
@click.option("--min-score", type=click.FloatRange(-1, 1), help="Only those at least so similar.")
@click.option("--role", type=click.Choice(["user", "assistant"]), help="Only messages of this role.")
@click.option("--conversation", help="Only of this conversation.")
@within
def search(session: Session, text: str, role: str | None, **given: Any) -> None:
    """Search messages by meaning, the most similar first."""
    roles: Any = role
    found = session.client.search.messages(text=text, roles=roles, **given, deadline=session.deadline)
    session.out.items(found.results, FOUND, "no message is similar")


@command("embed")
@click.argument("texts", metavar="[TEXT]…", nargs=-1)
@click.option("-f", "--file", metavar="FILE", help="A text a line; - for standard input.")
@click.option("--query", is_flag=True, help="As questions, to search by; else as passages, to be found.")
def embed(session: Session, texts: tuple[str, ...], file: str | None, query: bool) -> None:
    """Convert texts to vectors: a line of numbers for each, or with -o json arrays."""
    given = (
        [*texts, *(line for line in read_text(file).splitlines() if line.strip())] if file else list(texts)
    )
    if not given:
        raise click.UsageError("give a text, or --file")
    found = session.client.embeddings.embed(
        given, input_type="QUERY" if query else "PASSAGE", deadline=session.deadline
    )
    rows = [[float(number) for number in row] for row in found.vectors]
    if session.is_data:
        session.out.data({"model": found.model, "dimension": found.dimension, "vectors": rows})
    elif session.is_terminal:
        for text, row, tokens in zip(given, rows, found.token_counts, strict=True):
            shown = ", ".join(f"{number:.4f}" for number in row[:4])
            click.echo(f"{text}\n  [{shown}, …] {found.dimension} numbers of {tokens} tokens")
    else:
        for row in rows:
            click.echo("\t".join(f"{number:.8g}" for number in row))
