"""`celeriac questions`: what users ask, by meaning."""

from __future__ import annotations

from typing import Any

import click

from celeriac.cli.following import finish, follow
from celeriac.cli.output import Column
from celeriac.cli.session import Session, command

LIMIT = click.option(
    "--limit", type=click.IntRange(1), default=10, show_default=True, help="The most to list."
)


def trend(now: int, before: int) -> str:
    """Returns how a count changed: "new", "+50%", "-10%", "same"."""
    if not before:
        return "new" if now else "same"
    change = round(100 * (now - before) / before)
    return f"{change:+d}%" if change else "same"


def shown(cluster: Any) -> str:
    """Returns what a group is called: by a person, else by its title."""
    return str(cluster.display_name or cluster.title)


HOT = [
    Column("ID", lambda question: question.cluster.id),
    Column("TITLE", lambda question: shown(question.cluster)),
    Column("COUNT", "count"),
    Column("BEFORE", "previous_count"),
    Column("TREND", lambda question: trend(question.count, question.previous_count)),
    Column("KEYWORDS", "keywords"),
    Column("SIZE", "size", wide=True),
]
CLUSTERS = [
    Column("ID", "id"),
    Column("TITLE", shown),
    Column("SIZE", "size"),
    Column("LANGUAGES", lambda cluster: [f"{one.language} {one.count}" for one in cluster.languages]),
    Column("KEYWORDS", "keywords"),
    Column("NAMED BY", "named_by", wide=True),
    Column("SINCE", "first_seen_time", wide=True),
]
MESSAGES = [
    Column("MESSAGE", "id"),
    Column("TIME", "create_time"),
    Column("TEXT", "text"),
    Column("CONVERSATION", lambda message: message.conversation.partition("/")[2], wide=True),
]
UNGROUPED = [
    Column("MESSAGE", lambda one: one.message.id),
    Column("TIME", lambda one: one.message.create_time),
    Column("WHY", lambda one: str(one.kind or "").lower().replace("_", " ")),
    Column("TEXT", lambda one: one.message.text),
]


@command("list")
@click.option("--days", type=click.IntRange(1), help="Of the last so many days.")
@LIMIT
def list_(session: Session, days: int | None, limit: int) -> None:
    """What users ask most, by meaning, and how that changed."""
    listing = session.client.questions.list_hot(days=days, limit=limit, deadline=session.deadline)
    page = next(listing.pages())
    session.out.items(page.items[:limit], HOT, "no question was analysed yet")
    if session.is_terminal and page.answer.analysis_time:
        session.say(f"as of {session.out.time(page.answer.analysis_time)}")


@command("clusters")
@LIMIT
def clusters(session: Session, limit: int) -> None:
    """All groups of questions, the largest first."""
    listing = session.client.questions.list_clusters(limit=limit, deadline=session.deadline)
    session.out.items(list(listing)[:limit], CLUSTERS, "no question was analysed yet")


@command("show")
@click.argument("id")
@click.option("--days", type=click.IntRange(1), help="The spread over the last so many days.")
@LIMIT
def show(session: Session, id: str, days: int | None, limit: int) -> None:
    """A group of questions: its newest members, its days and its languages."""
    found = session.client.questions.get_cluster(id, days=days, page_size=limit, deadline=session.deadline)
    if session.is_data:
        session.out.result(found, "")
        return
    if found.cluster is not None:
        session.out.items([found.cluster], CLUSTERS, "")
    asked = ", ".join(f"{one.day} {one.count}" for one in found.day_counts if one.count)
    session.say(f"asked: {asked or 'not in these days'}")
    session.out.items(found.members, MESSAGES, "nobody asks this now")


@command("ungrouped")
@LIMIT
def ungrouped(session: Session, limit: int) -> None:
    """What users wrote that is in no group: small talk, and what is like nothing else."""
    listing = session.client.questions.list_ungrouped(limit=limit, deadline=session.deadline)
    session.out.items(list(listing)[:limit], UNGROUPED, "everything is in a group")


@command("ask")
@click.argument("text")
def ask(session: Session, text: str) -> None:
    """The group of a question; nothing is stored."""
    found = session.client.questions.assign(text, deadline=session.deadline)
    if found.cluster is not None and found.cluster.name:
        line = f"{found.cluster.id}: {shown(found.cluster)}"
    else:
        line = "small talk" if found.small_talk else "in no group"
    session.out.result(found, line)


@command("name")
@click.argument("id")
@click.argument("display_name", metavar="NAME")
def name(session: Session, id: str, display_name: str) -> None:
    """Give a group a name, which stays in later analyses; "" takes it back."""
    found = session.client.questions.name_cluster(id, display_name=display_name, deadline=session.deadline)
    session.out.result(found, f"named {display_name}" if display_name else "its name is taken back")


@command("run")
@click.option("--method", type=click.Choice(["communities", "k_means", "dbscan"]), help="How to group.")
@click.option("--clusters", type=click.IntRange(0, 256), help="How many groups k_means makes.")
@click.option("--detach", is_flag=True, help="Do not wait for its end.")
def run(session: Session, method: str | None, clusters: int | None, detach: bool) -> None:
    """Group all questions anew, and wait for the end of it."""
    given: Any = method
    operation = session.client.questions.run_analysis(
        method=given, cluster_count=clusters, deadline=session.deadline
    )
    if detach:
        session.out.result(operation, f"begun · celeriac operations wait {operation.id}")
    else:
        finish(session, follow(session, operation.name))
