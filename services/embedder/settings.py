"""Settings of the embedder."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.kernel.settings import KernelSettings

QUEUES = re.compile(r"[A-Za-z0-9_.-]{1,100}(,[A-Za-z0-9_.-]{1,100})*")
WORKER_NAME = re.compile(r"[A-Za-z0-9_.%-]{1,100}(@[A-Za-z0-9_.%-]{1,100})?")
# Execution providers of ONNX Runtime, by the names in the setting.
PROVIDERS = {
    "cpu": ("CPUExecutionProvider",),
    "cuda": ("CUDAExecutionProvider", "CPUExecutionProvider"),
    "openvino": ("OpenVINOExecutionProvider", "CPUExecutionProvider"),
}


def _queues(names: str) -> str:
    if not QUEUES.fullmatch(names):
        raise ValueError(f"{names!r} is not a list of queue names with commas between them")
    return names


def _worker_name(name: str) -> str:
    if not WORKER_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a name or name@host (%h stands for the host's name)")
    return name


def _provider(name: str) -> str:
    if name not in PROVIDERS:
        raise ValueError(f"{name!r} is not one of {', '.join(PROVIDERS)}")
    return name


class ModelSettings(BaseSettings):
    """Where the model is. The command `prepare` needs no other setting."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    model: Path = Field(
        Path(".celeriac/models/multilingual-e5-small"),
        validation_alias="CELERIAC_MODEL",
        examples=["/models/multilingual-e5-large"],
    )


class EmbedderSettings(KernelSettings, ModelSettings):
    """How the model is run, and which queues a worker reads."""

    provider: Annotated[str, AfterValidator(_provider)] = Field(
        "cpu", validation_alias="CELERIAC_PROVIDER", examples=["cpu"]
    )
    # Threads for one batch; 0: the number of cores, divided among the processes of a worker.
    threads: int = Field(0, ge=0, le=256, validation_alias="CELERIAC_THREADS", examples=["2"])
    # Tokens of one batch, padding included. Batches whose states exceed the core's cache are slower.
    batch_tokens: int = Field(512, ge=16, validation_alias="CELERIAC_BATCH_TOKENS", examples=["512"])

    # Where the search index is kept between two starts of the service.
    index_folder: Path = Field(
        Path(".celeriac/index"), validation_alias="CELERIAC_INDEX", examples=["/var/lib/celeriac/index"]
    )

    worker_queues: Annotated[str, AfterValidator(_queues)] = Field(
        "ai_analysis", validation_alias="CELERIAC_WORKER_QUEUES", examples=["maintenance,health"]
    )
    # Processes of a worker; 0: one for each core.
    worker_concurrency: int = Field(
        0, ge=0, le=256, validation_alias="CELERIAC_WORKER_CONCURRENCY", examples=["2"]
    )
    worker_name: Annotated[str, AfterValidator(_worker_name)] = Field(
        "celeriac", validation_alias="CELERIAC_WORKER_NAME", examples=["analysis"]
    )

    @property
    def worker_hostname(self) -> str:
        """The worker's name for Celery, which would read a name without `@` as the host."""
        return self.worker_name if "@" in self.worker_name else f"{self.worker_name}@%h"

    @property
    def consumed_queues(self) -> tuple[str, ...]:
        """The queues of a worker as the broker has them: with the prefix."""
        return tuple(self.queue_prefix + name for name in self.worker_queues.split(","))

    @property
    def processes(self) -> int:
        """The number of processes of a worker."""
        return self.worker_concurrency or cores()

    @property
    def worker_threads(self) -> int:
        """Threads for a batch in each process of a worker."""
        return self.threads or max(1, cores() // self.processes)

    @property
    def service_threads(self) -> int:
        """Threads for a batch in the service, where one batch runs at a time."""
        return self.threads or cores()


def cores() -> int:
    """Returns the number of cores that this process may run on."""
    return len(os.sched_getaffinity(0))
