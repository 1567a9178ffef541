"""The orders in which groups are listed, and the places at which pages of them begin."""

from __future__ import annotations

from collections.abc import Sequence

from services.embedder.insights.store_questions import AnalysisState, ShownCluster
from services.kernel.errors import FieldFault, Invalid
from services.kernel.pages import decode_page_token, encode_page_token, invalid_page_token

# A number by which groups are ordered, and the id of the group, which orders those with the same number.
Place = tuple[int, int]
FIRST: Place | None = None


def hot(clusters: Sequence[ShownCluster], after: Place | None) -> list[ShownCluster]:
    """Returns the groups that were asked in the last period, most asked first, behind the place."""
    asked = [cluster for cluster in clusters if cluster.counts[0]]
    return _behind([((cluster.counts[0], cluster.id), cluster) for cluster in asked], after)


def largest(clusters: Sequence[ShownCluster], after: Place | None) -> list[ShownCluster]:
    """Returns all groups, the largest first, behind the place."""
    return _behind([((cluster.size, cluster.id), cluster) for cluster in clusters], after)


def one_of(clusters: Sequence[ShownCluster], identity: int) -> ShownCluster | None:
    return next((cluster for cluster in clusters if cluster.id == identity), None)


def hot_after(last: ShownCluster, state: AnalysisState | None) -> str:
    """Returns the token of the page behind a group."""
    return _token((last.counts[0], last.id), state)


def size_after(last: ShownCluster, state: AnalysisState | None) -> str:
    """Returns the token of the page behind a group."""
    return _token((last.size, last.id), state)


def after_in(token: str, state: AnalysisState | None) -> Place | None:
    """Returns the place in a token; None for the first page. Raises `Invalid` after another analysis."""
    if not token:
        return FIRST
    position = decode_page_token(token)
    number, last = position.get("number"), position.get("id")
    if not isinstance(number, int) or not isinstance(last, int):
        raise invalid_page_token()
    if position.get("analysed") != _time_of(state):
        fault = "is of questions that have been grouped anew since; begin with the first page"
        raise Invalid([FieldFault("page_token", fault, "no page_token")])
    return number, last


def _behind(placed: Sequence[tuple[Place, ShownCluster]], after: Place | None) -> list[ShownCluster]:
    """Returns what is behind the place: the highest number first, and of one number the lowest id."""
    ordered = sorted(placed, key=lambda each: (-each[0][0], each[0][1]))
    return [
        cluster
        for (number, identity), cluster in ordered
        if after is None or (-number, identity) > (-after[0], after[1])
    ]


def _token(place: Place, state: AnalysisState | None) -> str:
    return encode_page_token({"analysed": _time_of(state), "number": place[0], "id": place[1]})


def _time_of(state: AnalysisState | None) -> str:
    return state.analysed_at.isoformat() if state else ""
