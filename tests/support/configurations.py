"""Keys of the live configuration, and calls that read and change them."""

from __future__ import annotations

import uuid
from typing import Any

from celeriac.scheduler.v1 import config_pb2 as pb

from tests.support.secrets_in_logs import remember

ALERTS = "configs/monitor.alerts.retention"
TASKS = "configs/monitor.tasks.retention"
CHUNKS = "configs/embedder.rebuild.chunk_characters"
WAITING = "configs/embedder.online.most_waiting_tokens"


def span(seconds: int) -> pb.ConfigValue:
    return pb.ConfigValue(duration_value={"seconds": seconds})


def revision(name: str, number: int) -> str:
    """The name of a revision of a key."""
    return f"{name}/revisions/{number}"


def get(config: Any, name: str) -> pb.Config:
    found: pb.Config = config.GetConfig(pb.GetConfigRequest(name=name)).config
    return found


def put(config: Any, name: str, value: pb.ConfigValue, **more: Any) -> pb.Config:
    made: pb.Config = config.SetConfig(pb.SetConfigRequest(name=name, value=value, **more)).config
    return made


def set_secret(config: Any, value: str, name: str = "") -> pb.Config:
    remember(value, "a secret of the configuration")
    name = name or f"configs/secrets.s-{uuid.uuid4().hex[:8]}"
    return put(config, name, pb.ConfigValue(string_value=value))
