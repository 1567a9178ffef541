"""The commands that run a model: the service and the worker."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress

from services.embedder.bulk.tasks import register
from services.embedder.bulk.worker import QUEUE, PoolProcess, celery_app, work
from services.embedder.counts import ToldCounts
from services.embedder.model.encoder import Encoder
from services.embedder.model.files import WrongModel
from services.embedder.model.graph import Engine
from services.embedder.model.onnx_model import OnnxModel
from services.embedder.model.unrun import Unrun
from services.embedder.settings import PROVIDERS, EmbedderSettings, ModelSettings


def keep_model() -> None:
    """Loads what the service and the workers share of the model, before they are forked from this process.

    If there is no model that can be used, does nothing: whoever needs it will say so.
    """
    # Threads would not survive the fork.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    with suppress(WrongModel):
        Unrun.keep(ModelSettings().model)


def load(settings: EmbedderSettings, threads: int, unrun: Unrun | None = None) -> OnnxModel:
    """Loads the model, or the rest of it. Raises SystemExit, with the reason, if it can't be used."""
    with _refused(settings):
        return OnnxModel(unrun or settings.model, _engine(settings, threads))


def _engine(settings: EmbedderSettings, threads: int) -> Engine:
    return Engine(PROVIDERS[settings.provider], threads)


@contextmanager
def _refused(settings: EmbedderSettings) -> Iterator[None]:
    try:
        yield
    except WrongModel as error:
        raise SystemExit(
            f"the model can't be used:\n  CELERIAC_MODEL={settings.model}: {error};"
            " the embedded one is made by: python -m services.embedder prepare"
        ) from None


async def serve_model(settings: EmbedderSettings) -> None:
    # Imported here, because a worker has no use for servicers and search.
    from services.embedder.serving import serve

    await serve(settings, load(settings, settings.service_threads), settings.batch_tokens)


def work_with_model(settings: EmbedderSettings) -> None:
    """Runs the worker. If it embeds, its processes share the tokenizer, which is loaded before the fork.

    Each of them loads the graph after the fork; mapped weights are shared. A worker of other queues loads the
    model only for a task that needs it all the same: that saves a second of CPU and 150 MB.
    """
    # Threads would not survive the fork, and each process of the pool has one core.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    embeds = QUEUE in settings.worker_queues.split(",")
    with _refused(settings):
        unrun = Unrun.load(settings.model, with_tokenizer=embeds)
    if embeds:
        refuse_wrong_model(settings, unrun)
    app, counts = celery_app(settings), ToldCounts()

    def encoder() -> Encoder:
        # Not by `load`: a task that raised SystemExit would be given to the next process, for ever.
        model = OnnxModel(unrun, _engine(settings, settings.worker_threads))
        return Encoder(model, settings.batch_tokens, counts.add)

    register(app, PoolProcess(settings, app, unrun.identity, encoder, at_once=embeds))
    queues = ",".join(settings.consumed_queues)
    work(app, settings, counts, queues, settings.processes, settings.worker_hostname)


def refuse_wrong_model(settings: EmbedderSettings, unrun: Unrun) -> None:
    """Raises SystemExit if the model can't be used.

    The graph is loaded for this in a separate process: the threads of a graph loaded in this process would
    not survive the fork. Without the check, the worker's pool would restart its failing processes for ever.
    """
    fork = multiprocessing.get_context("fork")
    # What is loaded goes as an argument of the initializer, which a fork inherits: a task's would be copied.
    with ProcessPoolExecutor(1, fork, initializer=_inherit, initargs=(unrun,)) as apart:
        fault = apart.submit(fault_of_model, settings).result()
    if fault:
        raise SystemExit(fault)


_inherited: list[Unrun] = []


def _inherit(unrun: Unrun) -> None:
    _inherited.append(unrun)


def fault_of_model(settings: EmbedderSettings) -> str:
    """Returns why the model can't be used; empty if it can."""
    try:
        load(settings, 1, *_inherited)
    except SystemExit as refused:
        return str(refused)
    return ""
