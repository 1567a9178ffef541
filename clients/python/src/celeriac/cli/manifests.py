"""`celeriac schedules apply`, `export`, `import` and `dump`: schedules in files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from celeriac.cli.asking import confirm
from celeriac.cli.failures import PARTLY, USAGE, Problem
from celeriac.cli.options import SEVERAL, schedule_filter
from celeriac.cli.schedules_edit import labels_of
from celeriac.cli.session import Session, command

ANY_DIFFERENCE = 1


def read_text(file: str) -> str:
    """Returns a file's text; of "-" that of standard input. Raises a Problem if it can't be read."""
    try:
        read = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise Problem(f"{file} can't be read: {error.strerror or error}", code=USAGE) from None
    try:
        # With or without the byte order mark that some editors on Windows write.
        return read.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        where = f"byte {error.start + 1} is 0x{read[error.start]:02x}"
        raise Problem(f"{file} is not UTF-8: {where}", code=USAGE) from None


@command("apply")
@click.option("-f", "--file", required=True, metavar="FILE", help="The manifest; - for standard input.")
@click.option("--diff", is_flag=True, help="Only show the difference; exit code 1 if there is one.")
@click.option("--prune", metavar="team=growth", help="Remove what has this label and is not in the file.")
@click.option("--etag", help="Only if the difference is still that of this etag.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask before schedules are removed.")
def apply(session: Session, file: str, diff: bool, prune: str | None, etag: str | None, yes: bool) -> None:
    """Make the schedules what a manifest says: all or nothing. The difference is shown first.

    celeriac schedules apply -f schedules.yaml --diff
    """
    text, manifests = read_text(file), session.client.manifests
    seen = manifests.apply_schedules(
        text, validate_only=True, prune_label=prune, etag=etag, deadline=session.deadline
    )
    changes = seen.create_count + seen.change_count + seen.remove_count
    if diff or not changes:
        session.out.result(seen, f"{seen.text.rstrip()}\n" + (f"etag {seen.etag}" if changes else ""))
        if diff and changes:
            raise click.exceptions.Exit(ANY_DIFFERENCE)
        return
    if seen.remove_count:
        session.say(seen.text.rstrip())
        act = f"remove {seen.remove_count:,} schedules, and change the others as shown"
        confirm(session, act, name=str(prune), yes=yes, count=seen.remove_count)
    done = manifests.apply_schedules(text, prune_label=prune, etag=seen.etag, deadline=session.deadline)
    session.out.result(done, done.text.rstrip())


@command("export")
@schedule_filter
@click.option("-f", "--file", metavar="FILE", help="Where to write it; standard output when not given.")
def export(session: Session, filters: dict[str, Any], file: str | None) -> None:
    """Write the schedules that match as a manifest, in YAML; with -o json in JSON."""
    unable = {"text", "paused"} & filters.keys()
    if unable:
        raise click.UsageError(
            f"--{unable.pop()} does not choose schedules of an export; --label, --task and --queue do"
        )
    written = session.client.manifests.export_schedules(
        **filters, format="JSON" if session.format == "json" else None, deadline=session.deadline
    )
    if file is None:
        click.echo(written.manifest, nl=False)
        return
    Path(file).write_text(written.manifest, "utf-8")
    session.say(f"{written.count:,} schedules in {file}")


# What a note of an import is about, by its weight.
WEIGHTS = {"LOST": "not carried over", "CHANGED": "done in another way", "RENAMED": "named in another way"}


@command("import")
@click.option(
    "-f", "--file", required=True, metavar="FILE", help="What `schedules dump` wrote; - for standard input."
)
@click.option(
    "--label", type=SEVERAL, default="", metavar="origin=beat,…", help="Labels for what is imported."
)
@click.option(
    "--default-queue", metavar="QUEUE", help="For entries with an exchange or a routing key and no queue."
)
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--etag", help="Only if the difference is still that of this etag.")
def import_(
    session: Session,
    file: str,
    label: list[str],
    default_queue: str | None,
    dry_run: bool,
    etag: str | None,
) -> None:
    """Take over the schedules of another beat (docs/coming-from-another-beat.md).

    Exit code 7 says that some of it can't be represented: it is told what.
    """
    answer = session.client.manifests.import_schedules(
        read_text(file),
        labels=labels_of(label),
        default_queue=default_queue,
        validate_only=dry_run,
        etag=etag,
        deadline=session.deadline,
    )
    difference: Any = answer.difference
    told = difference.text.rstrip()
    for note in answer.not_carried:
        how = WEIGHTS.get(note.weight or "", "not carried over")
        told += f"\n{how}: {note.entry}:{f' {note.field}' if note.field else ''} {note.reason}"
    if dry_run:
        told += f"\nnothing is changed yet; to make just this difference: --etag {difference.etag}"
    session.out.result(answer, told)
    if answer.not_carried:
        raise click.exceptions.Exit(PARTLY)


@command("dump")
@click.argument("source", type=click.Choice(["beat-schedule", "django", "redbeat"]))
@click.argument("app")
def dump(_: Session, source: str, app: str) -> None:
    """Write the schedules of another beat as JSON, for `schedules import`. Run it where that beat runs.

    APP is the Celery application, as `celery -A` takes it.
    """
    from celeriac.beat_dump import write

    # As `celery -A` does: the application is in the folder where the command is given.
    sys.path.insert(0, str(Path.cwd()))
    write(source, app)
