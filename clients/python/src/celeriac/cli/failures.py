"""An error in three lines: what, why, what next. And the exit code that a script sees."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from celeriac import exceptions
from celeriac.cli.widths import printable

if TYPE_CHECKING:
    from celeriac.cli.session import Session

FAILED, USAGE, NOT_FOUND, DENIED, UNAVAILABLE, CONFLICT, PARTLY, INTERRUPTED = 1, 2, 3, 4, 5, 6, 7, 130
EXIT_CODES: dict[type[exceptions.Error], int] = {
    exceptions.InvalidArgument: USAGE,
    exceptions.NotFound: NOT_FOUND,
    exceptions.PermissionDenied: DENIED,
    exceptions.Unauthenticated: DENIED,
    exceptions.Unavailable: UNAVAILABLE,
    exceptions.DeadlineExceeded: UNAVAILABLE,
    exceptions.ResourceExhausted: UNAVAILABLE,
    exceptions.Aborted: CONFLICT,
    exceptions.AlreadyExists: CONFLICT,
}
# Reasons of FAILED_PRECONDITION that say: what you saw is no longer so.
CHANGED = {"COUNT_CHANGED", "QUEUE_LENGTH_CHANGED"}
# What to do next, by reason or by code.
NEXT = {
    "TOKEN_MISSING": "celeriac login",
    "UNAUTHENTICATED": "celeriac login",
    "ROLE_TOO_LOW": "celeriac whoami tells your role; ask somebody who has a higher one",
    "SECOND_FACTOR_REQUIRED": "celeriac login, with a token that has a second factor (make token … OTP=…)",
    "UNAVAILABLE": "celeriac status; or --target for another system",
    "DEADLINE_EXCEEDED": "a longer --timeout, or celeriac status",
    "ETAG_MISMATCH": "look at it again, and decide anew",
    "COUNT_CHANGED": "look at them again, and answer with the count of now",
    "QUEUE_LENGTH_CHANGED": "look at the queue again",
}


class Problem(click.ClickException):
    """An error of the command's own, in three lines."""

    def __init__(self, what: str, why: str = "", next_step: str = "", code: int = FAILED) -> None:
        super().__init__(what)
        self.why = why
        self.next_step = next_step
        self.code = code


def problem_of(error: exceptions.Error) -> Problem:
    """Returns what a failed call is told as."""
    why = "; ".join(f"{field} {fault}" for field, fault in error.fields.items() if fault not in error.message)
    told = [why or error.reason or error.code]
    if error.outcome_unknown:
        told.append("it may have been carried out: look before you try again")
    if error.request_id:
        told.append(f"request {error.request_id}")
    next_step = NEXT.get(error.reason) or NEXT.get(error.code, "")
    if error.retry_after:
        next_step = f"again in {error.retry_after.total_seconds():g} s"
    code = CONFLICT if error.reason in CHANGED else EXIT_CODES.get(type(error), FAILED)
    return Problem(error.message, " · ".join(told), next_step, code)


def tell(problem: Problem, session: Session, cause: Exception | None) -> None:
    """Writes the problem to standard error."""
    if session.format == "json":
        click.echo(json.dumps(_data(problem, cause), ensure_ascii=False), err=True)
        return
    for name, text in (("error", problem.message), ("why", problem.why), ("next", problem.next_step)):
        if text:
            click.echo(f"{name + ':':<7}{printable(text)}", err=True)


def _data(problem: Problem, cause: Exception | None) -> dict[str, Any]:
    known = isinstance(cause, exceptions.Error)
    return {
        "code": cause.code if isinstance(cause, exceptions.Error) else "FAILED",
        "reason": cause.reason if known else "",  # type: ignore[union-attr]
        "message": problem.message,
        "fields": cause.fields if known else {},  # type: ignore[union-attr]
        "request_id": cause.request_id if known else "",  # type: ignore[union-attr]
        "next": problem.next_step,
    }
