"""`celeriac schedules create` and `edit`. A schedule is edited as its manifest, and the difference shown
first.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from celeriac import exceptions
from celeriac.cli import times
from celeriac.cli.asking import confirm
from celeriac.cli.failures import NOT_FOUND, Problem, problem_of
from celeriac.cli.options import asked_first, name_of, suggesting
from celeriac.cli.schedules import LISTING
from celeriac.cli.session import Session, command


def json_option(context: click.Context, parameter: click.Parameter, value: str | None) -> Any:
    import json

    if value is None:
        return None
    try:
        return json.loads(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is no JSON ({error}); for example '[7, \"daily\"]'") from None


@command("create")
@click.argument("name")
@click.option("--task", required=True, help="The task's registered name.")
@click.option("--crontab", metavar="'30 3 * * *'", help="When, as a crontab.")
@click.option("--every", type=times.DURATION, metavar="5m", help="When, as an interval.")
@click.option("--at", type=times.TIME, metavar="TIME", help="When, once.")
@click.option("--in", "zone", metavar="ZONE", help="The zone of the crontab, such as Asia/Taipei.")
@click.option("--queue", help="Where to send it.")
@click.option("--args", callback=json_option, metavar="JSON", help="Arguments, such as '[7]'.")
@click.option(
    "--kwargs", callback=json_option, metavar="JSON", help="Named arguments, such as '{\"month\": 12}'."
)
@click.option("--label", multiple=True, metavar="team=growth", help="A label; may be given again.")
@click.option("--description", help="What it is for.")
@click.option("--paused", is_flag=True, help="Create it paused.")
def create(session: Session, name: str, **given: Any) -> None:
    """Create a schedule. For all that a schedule can have, `schedules apply` takes a manifest."""
    timings = {
        "crontab": given["crontab"],
        "interval": given["every"],
        "once": given["at"],
    }
    if sum(value is not None for value in timings.values()) != 1:
        raise click.UsageError("give one of --crontab, --every and --at")
    schedule = {
        "name": name,
        "task": {
            "task_name": given["task"],
            "queue": given["queue"],
            "args": given["args"],
            "kwargs": given["kwargs"],
        },
        "timing": {**timings, "time_zone": given["zone"]},
        "labels": labels_of(given["label"]),
        "description": given["description"],
        "paused": given["paused"] or None,
    }
    found = session.client.schedules.create(schedule, deadline=session.deadline)
    due = session.out.time(found.next_run_time) if found.next_run_time else "paused or never due"
    session.out.result(found, f"created {found.id} · next run: {due}")


def labels_of(labels: Sequence[str]) -> dict[str, str]:
    """Returns labels by name. Raises a usage error for one that is not name=value."""
    wrong = [label for label in labels if "=" not in label]
    if wrong:
        raise click.BadParameter(
            f"{wrong[0]!r} is not name=value; for example team=growth", param_hint="--label"
        )
    return dict(label.split("=", 1) for label in labels)


@command("edit")
@name_of("schedules")
@asked_first
def edit(session: Session, name: str, yes: bool, dry_run: bool) -> None:
    """Edit a schedule in $EDITOR, as a manifest; then see the difference, and say yes."""
    with suggesting(session, "schedules", name, LISTING):
        stored = session.client.schedules.get(name, deadline=session.deadline)
    text = _manifest_of(session, stored)
    edited = click.edit(text, extension=".yaml")
    if edited is None or edited == text:
        session.say("nothing was changed")
        return
    manifests = session.client.manifests
    with keeping(edited, stored.id):
        difference = manifests.apply_schedules(edited, validate_only=True, deadline=session.deadline)
    session.say(difference.text.rstrip())
    if dry_run:
        session.out.result(difference, "nothing is changed yet")
        return
    confirm(session, f"change {stored.id} as shown", name=stored.id, yes=yes)
    done = manifests.apply_schedules(edited, etag=difference.etag, deadline=session.deadline)
    session.out.result(done, f"changed {stored.id}")


@contextmanager
def keeping(text: str, name: str) -> Iterator[None]:
    """Keeps what was edited in a file, and names it, where the system refuses the text."""
    try:
        yield
    except exceptions.Error as error:
        descriptor, path = tempfile.mkstemp(prefix=f"celeriac-{name}-", suffix=".yaml")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        found = problem_of(error)
        step = f"your text is kept in {path}: mend it, then celeriac schedules apply -f {path}"
        raise Problem(found.message, found.why, step, found.code) from error


def _manifest_of(session: Session, schedule: Any) -> str:
    """Returns the manifest of one schedule. The export can't name one: it is taken from those of its task."""
    exported = session.client.manifests.export_schedules(
        task_names=schedule.task.task_name, deadline=session.deadline
    )
    own = entry_of(exported.manifest, schedule.id)
    if own is None:
        raise Problem(f"{schedule.id} can't be exported", code=NOT_FOUND)
    return f"# Edit {schedule.id}, save and close. docs/manifests.md has the fields.\nschedules:\n{own}"


def entry_of(manifest: str, wanted: str) -> str | None:
    """Returns the lines of one entry as they stand: to read and write YAML would change some values."""
    entries = manifest.partition("schedules:\n")[2].split("\n- ")
    for entry in entries:
        first = entry.removeprefix("- ").partition("\n")[0]
        if first.partition("id: ")[2].strip("\"' ") == wanted:
            return "- " + entry.removeprefix("- ").rstrip("\n") + "\n"
    return None
