"""Converts between the messages of InsightService and domain objects."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence

from celeriac.embedder.v1 import insights_pb2 as pb

from services.embedder.api.convert import message_to
from services.embedder.insights.clusters import MOST_CLUSTERS, Way
from services.embedder.insights.store_operations import Wanted
from services.embedder.insights.store_questions import AnalysisState, Listed, ShownCluster
from services.embedder.messages.messages import Message
from services.kernel.grpc.enums import from_wire, wire_values
from services.kernel.grpc.wire import once_in, timestamp
from services.kernel.once import Once
from services.kernel.validation import Faults

DEFAULT_DAYS, MOST_DAYS = 7, 366
DEFAULT_PERIODS, MOST_PERIODS = 2, 60
SPREAD_DAYS = 30
SHOWN_EXAMPLES = 3
LONGEST_NAME = 100
CLUSTER = re.compile(r"clusters/([1-9][0-9]{0,8})")
EXAMPLE = "clusters/17"
METHODS = wire_values(pb.AnalysisMethod, Way)
METHODS_FROM_WIRE = from_wire(METHODS)
KINDS = {"noise": pb.UNGROUPED_KIND_UNLIKE_OTHERS, "talk": pb.UNGROUPED_KIND_SMALL_TALK}


def periods_in(request: pb.ListHotQuestionsRequest) -> tuple[int, int]:
    """Returns the days of a period, and how many periods."""
    faults = Faults()
    faults.unless(
        0 <= request.days <= MOST_DAYS, "days", f"is {request.days}, it must be 1 to {MOST_DAYS}", "7"
    )
    known = request.periods == 0 or 2 <= request.periods <= MOST_PERIODS
    faults.unless(known, "periods", f"is {request.periods}, it must be 2 to {MOST_PERIODS}", "8")
    faults.raise_any()
    return request.days or DEFAULT_DAYS, request.periods or DEFAULT_PERIODS


def spread_in(request: pb.GetClusterRequest) -> tuple[int, int]:
    """Returns the id of a group, and over how many days its spread is asked for."""
    faults = Faults()
    group = _cluster_id(request.name, faults)
    faults.unless(
        0 <= request.days <= MOST_DAYS, "days", f"is {request.days}, it must be 1 to {MOST_DAYS}", "30"
    )
    faults.raise_any()
    return group, request.days or SPREAD_DAYS


def naming_in(request: pb.NameClusterRequest) -> tuple[int, str]:
    faults = Faults()
    group = _cluster_id(request.name, faults)
    faults.name("display_name", request.display_name, "退款進度", most=LONGEST_NAME, required=False)
    faults.raise_any()
    return group, request.display_name


def kinds_in(request: pb.ListUngroupedQuestionsRequest) -> list[str]:
    faults, by_number = Faults(), {number: kind for kind, number in KINDS.items()}
    for place, number in enumerate(request.kinds):
        fault = f"is {number}, not an UngroupedKind"
        faults.unless(number in by_number, f"kinds[{place}]", fault, "UNGROUPED_KIND_SMALL_TALK")
    faults.raise_any()
    return [by_number[number] for number in request.kinds] or list(KINDS)


def analysis_in(request: pb.RunAnalysisRequest) -> tuple[Wanted, Once | None]:
    faults = Faults()
    known = request.method == 0 or request.method in METHODS_FROM_WIRE
    faults.unless(known, "method", f"is {request.method}, not an AnalysisMethod", "ANALYSIS_METHOD_K_MEANS")
    way = METHODS_FROM_WIRE.get(request.method, Way.COMMUNITIES)
    count = request.cluster_count
    fault = f"is {count}, it must be 0 (as many as fit best) to {MOST_CLUSTERS}"
    if faults.unless(0 <= count <= MOST_CLUSTERS, "cluster_count", fault, "20"):
        fault = f"is {count}, and {way.value} finds the number itself"
        faults.unless(count == 0 or way is Way.K_MEANS, "cluster_count", fault, "0")
    once = once_in(request, faults, "RunAnalysis")
    faults.raise_any()
    return Wanted(way, count), once


def analysis_to(state: AnalysisState | None) -> pb.Analysis | None:
    if state is None:
        return None
    return pb.Analysis(
        create_time=timestamp(state.analysed_at),
        method=METHODS[Way(state.way)],
        model=f"models/{state.model}",
        question_count=state.questions,
        cluster_count=state.clusters,
        unlike_others_count=state.noise,
        small_talk_count=state.talk,
    )


def cluster_to(cluster: ShownCluster, texts: Mapping[str, Message]) -> pb.Cluster:
    """Returns the message of a group, with the texts that still exist."""
    examples = [texts[one].text for one in cluster.examples if one in texts]
    medoid = texts.get(cluster.medoid)
    title = medoid.text if medoid else (examples[0] if examples else cluster.title)
    languages = sorted(cluster.languages.items(), key=lambda each: (-each[1], each[0]))
    return pb.Cluster(
        name=f"clusters/{cluster.id}",
        display_name=cluster.name,
        named_by=cluster.named_by,
        title=title,
        keywords=cluster.keywords,
        size=cluster.size,
        examples=[text for text in examples if text != title][:SHOWN_EXAMPLES],
        languages=[pb.LanguageCount(language=name, count=count) for name, count in languages],
        first_seen_time=timestamp(cluster.first_seen_at),
    )


def hot_to(cluster: ShownCluster, texts: Mapping[str, Message]) -> pb.HotQuestion:
    shown = cluster_to(cluster, texts)
    return pb.HotQuestion(
        title=shown.title,
        keywords=cluster.keywords,
        count=cluster.counts[0],
        previous_count=cluster.counts[1],
        size=cluster.size,
        cluster=shown,
        period_counts=list(reversed(cluster.counts)),
    )


def days_to(counts: Sequence[tuple[dt.date, int]], today: dt.date, days: int) -> list[pb.DayCount]:
    """Returns all of the last days, today the last, with 0 for those without a question."""
    known = dict(counts)
    shown = [today - dt.timedelta(days=before) for before in reversed(range(days))]
    return [pb.DayCount(day=day.isoformat(), count=known.get(day, 0)) for day in shown]


def ungrouped_to(listed: Listed, message: Message) -> pb.UngroupedQuestion:
    return pb.UngroupedQuestion(message=message_to(message), kind=KINDS[listed.kind])


def _cluster_id(name: str, faults: Faults) -> int:
    found = CLUSTER.fullmatch(name)
    faults.unless(found is not None, "name", f"is {name[:100]!r}, not clusters/ and a number", EXAMPLE)
    return int(found[1]) if found else 0
