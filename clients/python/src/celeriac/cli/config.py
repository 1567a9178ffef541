"""`celeriac config`: list, get, set, reset, history, rollback, watch."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import click

from celeriac.cli import names, times
from celeriac.cli.options import limited, name_of, suggesting
from celeriac.cli.output import Column, plain
from celeriac.cli.session import Session, command
from celeriac.gap import Gap

if TYPE_CHECKING:
    from celeriac.scheduler.v1.config import Config

LISTING = "celeriac config list"


def value_of(config: Any) -> Any:
    """Returns the value in force, hidden where it is a secret."""
    if config.sensitive:
        return "set" if config.is_set else None
    return shown(config.value if config.is_set else config.default_value)


def shown(value: Any) -> str | None:
    """Returns a value as it is typed."""
    if isinstance(value, dt.timedelta):
        return times.short(value)
    if isinstance(value, bool):
        return str(value).lower()
    return None if value is None else str(value)


COLUMNS = [
    Column("NAME", "id"),
    Column("VALUE", value_of, unset="not set"),
    Column("UNIT", "unit", unset=""),
    Column("SET", lambda config: "yes" if config.is_set else "default", styles={"yes": "cyan"}),
    Column("DESCRIPTION", "description"),
    Column("CHANGED", "update_time", unset="never", wide=True),
    Column("BY", "updated_by", unset="", wide=True),
]
SHOWN = [
    Column("name", "id"),
    Column("value", value_of, unset="not set"),
    Column("unit", "unit", unset=""),
    Column("default", lambda config: shown(config.default_value)),
    Column("type", lambda config: str(config.type or "").lower()),
    Column("smallest", lambda config: shown(config.minimum), unset=""),
    Column("largest", lambda config: shown(config.maximum), unset=""),
    Column("choices", "choices", unset=""),
    Column("used by", "used_by"),
    Column("description", "description"),
    Column("changed", "update_time", unset="never"),
    Column("by", "updated_by", unset=""),
    Column("revision", lambda config: str(config.revision)),
    Column("etag", "etag"),
]
REVISIONS = [
    Column("REVISION", lambda found: str(found.revision)),
    Column("TIME", "create_time"),
    Column("CHANGE", lambda found: str(found.change or "").lower()),
    Column("FROM", lambda found: "secret" if found.sensitive else shown(found.old_value), unset="default"),
    Column("TO", lambda found: "secret" if found.sensitive else shown(found.new_value), unset="default"),
    Column("BY", "actor"),
    Column("COMMENT", "comment", unset=""),
]
COMMENT = click.option("-m", "--message", "comment", default="", help="Why, for those who read the history.")
DRY_RUN = click.option("--dry-run", is_flag=True, help="Only check it.")


@command("list")
@click.argument("prefixes", metavar="[PREFIX]…", nargs=-1)
@limited
def list_(session: Session, prefixes: tuple[str, ...], limit: int | None) -> None:
    """List the keys of the live configuration that begin with PREFIX, such as `scheduler.`."""
    found = session.client.config.list(prefixes=prefixes, limit=limit, deadline=session.deadline).all()
    if not prefixes:
        names.keep("config", [config.id for config in found])
    session.out.items(found, COLUMNS, "no key begins so")


@command("get")
@name_of("config")
def get(session: Session, name: str) -> None:
    """Show a key: its value, its bounds, what it is for. In a pipe with -o name, the value alone."""
    with suggesting(session, "config", name, LISTING):
        found = session.client.config.get(name, deadline=session.deadline)
    session.out.item(found, SHOWN)


@command("set")
@name_of("config")
@click.argument("value")
@COMMENT
@DRY_RUN
def set_(session: Session, name: str, value: str, comment: str, dry_run: bool) -> None:
    """Change a value. It is in force at every service within a second."""
    config = session.client.config
    with suggesting(session, "config", name, LISTING):
        stored = config.get(name, deadline=session.deadline)
    found = config.set(
        name,
        parsed(stored, value),
        etag=stored.etag,
        comment=comment,
        validate_only=dry_run,
        deadline=session.deadline,
    )
    before = value_of(stored) or "not set"
    told = "would be" if dry_run else "is"
    undo = (
        f"celeriac config rollback {name} {stored.revision}"
        if stored.is_set
        else f"celeriac config reset {name}"
    )
    session.out.result(
        found, f"{name} {told} {value_of(found)} (was {before})" + ("" if dry_run else f" · undo: {undo}")
    )


def parsed(config: Config, text: str) -> Any:
    """Returns the value of a text, by the type of its key. Raises a usage error if it is none."""
    kind = config.type
    try:
        if kind == "BOOL":
            return {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}[
                text.lower()
            ]
        if kind == "INT":
            return int(text.replace("_", "").replace(",", ""))
        if kind == "FLOAT":
            return float(text)
    except (KeyError, ValueError):
        example = {"BOOL": "true", "INT": "16", "FLOAT": "0.5"}[str(kind)]
        raise click.BadParameter(f"{text!r} is no {str(kind).lower()}; for example {example}") from None
    if kind == "DURATION":
        found = times.duration_of(text)
        if found is None:
            raise click.BadParameter(f"{text!r} is no length of time; for example 90s or 2h")
        return found
    return text


@command("reset")
@name_of("config")
@COMMENT
@DRY_RUN
def reset(session: Session, name: str, comment: str, dry_run: bool) -> None:
    """Go back to the default."""
    with suggesting(session, "config", name, LISTING):
        found = session.client.config.reset(
            name, comment=comment, validate_only=dry_run, deadline=session.deadline
        )
    session.out.result(
        found, f"{name} {'would be' if dry_run else 'is'} {value_of(found) or 'not set'}, the default"
    )


@command("history")
@name_of("config", required=False)
@limited
def history(session: Session, name: str | None, limit: int | None) -> None:
    """List the changes of a key, or of all, the newest first."""
    with suggesting(session, "config", name or "", LISTING):
        found = session.client.config.list_revisions(parent=name, limit=limit, deadline=session.deadline)
        key = [] if name else [Column("NAME", lambda each: each.config.partition("/")[2])]
        session.out.items(found, [*key, *REVISIONS], "it was never changed")


@command("rollback")
@name_of("config")
@click.argument("revision")
@COMMENT
@DRY_RUN
def rollback(session: Session, name: str, revision: str, comment: str, dry_run: bool) -> None:
    """Go back to the value of an earlier revision, which `config history` lists."""
    full = revision if "/" in revision else f"configs/{name.removeprefix('configs/')}/revisions/{revision}"
    with suggesting(session, "config", name, LISTING):
        found = session.client.config.rollback(
            name, full, comment=comment, validate_only=dry_run, deadline=session.deadline
        )
    session.out.result(found, f"{name} {'would be' if dry_run else 'is'} {value_of(found) or 'not set'}")


@command("watch")
@click.argument("prefixes", metavar="[PREFIX]…", nargs=-1)
@click.option("--count", type=click.IntRange(1), help="End after so many keys.")
def watch(session: Session, prefixes: tuple[str, ...], count: int | None) -> None:
    """Follow keys that begin with PREFIX as they change, without end; first, how they are now.

    -o json writes one object a line. A secret is never shown: only that it changed.
    """
    seen = 0
    for event in session.client.config.watch(prefixes=prefixes):
        if isinstance(event, Gap):
            continue
        for config in event.configs:
            _tell(session, config)
            seen += 1
            if seen == count:
                return


def _tell(session: Session, config: Config) -> None:
    if session.format == "json":
        session.out.line(plain(config))
        return
    cells = [config.update_time, config.id, value_of(config) or "not set", config.updated_by]
    click.echo("\t".join(map(session.out.cell, cells)))
