"""Rules of the comments, which are the reference documentation."""

from __future__ import annotations

from collections.abc import Iterator

from protos.contracts import Contracts

# A comment of so few words repeats the name of what it stands at.
FEWEST_WORDS = 4


def messages_have_comments(contracts: Contracts) -> Iterator[tuple[str, str]]:
    """A message has a comment, unless it is a method's request or response: those are named after it."""
    named_after_methods = contracts.requests() | contracts.responses()
    for message in contracts.messages():
        if message.full_name not in named_after_methods and not contracts.place(message.full_name).comment:
            yield message.full_name, "has no comment; say what it is"


def enum_values_have_comments(contracts: Contracts) -> Iterator[tuple[str, str]]:
    """A value of an enum has a comment, unless it is the value 0, which means the same everywhere."""
    for enum in contracts.enums():
        for value in enum.values:
            name = f"{enum.full_name}.{value.name}"
            if value.number and not contracts.place(name).comment:
                yield name, "has no comment; say what it means"


def comments_are_sentences(contracts: Contracts) -> Iterator[tuple[str, str]]:
    """A comment has more than three words, begins a sentence of its own, and ends in a full stop."""
    for name, comment in contracts.comments():
        if not comment.endswith("."):
            yield name, f"has a comment that does not end in a full stop: {_end_of(comment)!r}"
        if comment[:1].islower():
            yield name, f"has a comment that does not begin a sentence: {_begin_of(comment)!r}"
        if len(comment.split()) < FEWEST_WORDS:
            yield (
                name,
                f"has a comment that says nothing: {comment!r}; tell shape, unit, unset value or errors",
            )


def _begin_of(comment: str) -> str:
    return comment if len(comment) <= 40 else f"{comment[:40]}…"


def _end_of(comment: str) -> str:
    return comment if len(comment) <= 40 else f"…{comment[-40:]}"


RULES = (messages_have_comments, enum_values_have_comments, comments_are_sentences)
