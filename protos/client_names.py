"""The names of services and methods in the Python client: `schedules.trigger` is TriggerSchedule."""

from __future__ import annotations

import re

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

# What a service is about, where its name does not say it.
NOUNS = {"InsightService": "Question"}
# Services of which there is one, and so no plural.
SINGULAR = {"Monitoring", "System", "Search", "Audit", "Access", "Config"}
# Methods whose name would be that of another one, or say something else.
NAMES = {
    "celeriac.monitor.v1.TaskService.RetryTasks": "retry_matching",
    "celeriac.monitor.v1.TaskService.RevokeTasks": "revoke_matching",
    "celeriac.monitor.v1.MonitoringService.WatchEvents": "watch",
}


def noun_of(service: ServiceDescriptor) -> str:
    return NOUNS.get(service.name) or service.name.removesuffix("Service")


def attribute_of(service: ServiceDescriptor) -> str:
    """Returns the attribute of the client: "schedules"."""
    noun = noun_of(service)
    return noun.lower() if noun in SINGULAR else f"{_snake(noun)}s"


def method_name(method: MethodDescriptor) -> str:
    """Returns the method's name without what its service is about: "trigger", "get_result", "list_runs"."""
    if method.full_name in NAMES:
        return NAMES[method.full_name]
    noun = noun_of(method.containing_service)
    words = re.findall(r"[A-Z][a-z0-9]*", method.name)
    kept = [word for index, word in enumerate(words) if word not in {noun, f"{noun}s"} or len(words) == 1]
    return "_".join(kept).lower()


def _snake(name: str) -> str:
    return "_".join(re.findall(r"[A-Z][a-z0-9]*", name)).lower()
