"""The commands that run a model: the service and the worker."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

from services.embedder.bulk.tasks import register
from services.embedder.bulk.worker import PoolProcess, celery_app, work
from services.embedder.model.encoder import Encoder
from services.embedder.model.files import WrongModel
from services.embedder.model.onnx_model import Engine, OnnxModel
from services.embedder.serving import serve
from services.embedder.settings import PROVIDERS, EmbedderSettings


def load(settings: EmbedderSettings, threads: int) -> OnnxModel:
    """Loads the model. Raises SystemExit, with the reason, if it can't be used."""
    try:
        return OnnxModel(settings.model, Engine(PROVIDERS[settings.provider], threads))
    except WrongModel as error:
        raise SystemExit(
            f"the model can't be used:\n  CELERIAC_MODEL={settings.model}: {error};"
            " the embedded one is made by: python -m services.embedder prepare"
        ) from None


async def serve_model(settings: EmbedderSettings) -> None:
    await serve(settings, load(settings, settings.service_threads), settings.batch_tokens)


def work_with_model(settings: EmbedderSettings) -> None:
    """Runs the worker. Each of its processes loads the model after the fork; mapped weights are shared."""
    refuse_wrong_model(settings)
    app = celery_app(settings)

    def encoder() -> Encoder:
        return Encoder(load(settings, settings.worker_threads), settings.batch_tokens)

    register(app, PoolProcess(settings, app, encoder))
    work(app, settings, settings.worker_queues, settings.processes, settings.worker_hostname)


def refuse_wrong_model(settings: EmbedderSettings) -> None:
    """Raises SystemExit if the model can't be used.

    The model is loaded for this in a separate process: the threads of a model loaded in this process would
    not survive the fork. Without the check, the worker's pool would restart its failing processes for ever.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as apart:
        fault = apart.submit(fault_of_model, settings).result()
    if fault:
        raise SystemExit(fault)


def fault_of_model(settings: EmbedderSettings) -> str:
    try:
        load(settings, 1)
    except SystemExit as refused:
        return str(refused)
    return ""
