"""The files of a search index: made beside the one before, complete or not there, and mapped into memory.

Each is a folder with three files and `facts.json`, which has their check sums and is written last, before the
folder gets its name. A folder that is damaged, or of another form, is deleted: the table has all of it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import structlog
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from services.embedder.search.marks import MARK, Marks
from services.embedder.search.part import EXACT, Part, Vectors, with_lists
from services.kernel.logged_errors import for_log

log = structlog.get_logger(__name__)

# Another number for another form of the files.
FORM = 1
MARKS, VECTORS, LISTS, FACTS = "marks.npy", "vectors.npy", "lists.faiss", "facts.json"
UNFINISHED = "unfinished-"
# Folders of other models, and what was never finished, are deleted when they are so old: another process may
# work with them until then.
OLD_SECONDS = 86_400.0
READ_BYTES = 1 << 20
# The width of stored vectors is a multiple of it, so that rows begin where the processor reads fast.
ALIGNED = 16


class Facts(BaseModel):
    """What `facts.json` says."""

    model_config = ConfigDict(extra="forbid", strict=True)

    form: int
    model: str
    # CRC-32 of each file.
    files: dict[str, int]


class IndexFolder:
    """Where the index of one model is kept. Several processes may share it.

    root: None if nothing is kept. If it can't be written, that is logged, and the index is held in memory.
    """

    def __init__(self, root: Path | None, model: str) -> None:
        self._model = model
        self._root = root
        self._folder = root and root / hashlib.sha256(model.encode()).hexdigest()[:16]

    def load(self) -> Part | None:
        """Returns the newest that is whole; None if there is none."""
        for folder in reversed(self._finished()):
            try:
                part = self._loaded(folder)
            except (OSError, ValueError) as error:
                log.warning("search.index_damaged", folder=folder.name, error=for_log(error))
                shutil.rmtree(folder, ignore_errors=True)
            else:
                log.info("search.index_loaded", vectors=len(part.marks))
                return part
        return None

    def made(self, parts: Sequence[Part], kept: Sequence[NDArray[np.int64]]) -> Part:
        """Returns a part of the kept rows of all parts, in their order, with lists; saves it if it can."""
        before, folder = self._finished(), None
        if self._folder is not None:
            try:
                folder = self._saved(self._folder, parts, kept)
                part = self._loaded(folder)
            except OSError as error:
                log.warning("search.index_not_saved", folder=str(self._folder), error=for_log(error))
                folder = None
        if folder is None:
            marks = np.empty(sum(map(len, kept)), dtype=MARK)
            vectors = np.empty((len(marks), _width(parts, kept)), dtype=np.float32)
            _fill(marks, vectors, parts, kept)
            part = Part(marks, vectors, np.ones(len(marks), dtype=bool), with_lists(marks, vectors))
        else:
            # Who has mapped their files keeps them until it lets go of them.
            for other in before:
                shutil.rmtree(other, ignore_errors=True)
            self._tidy()
        log.info("search.index_built", vectors=len(part.marks), saved=folder is not None)
        return part

    def clear(self) -> None:
        """Deletes what is saved of this model."""
        for folder in self._finished():
            shutil.rmtree(folder, ignore_errors=True)

    def _finished(self) -> list[Path]:
        """Returns the folders that may be whole, oldest first: they are named by the time."""
        if self._folder is None or not self._folder.is_dir():
            return []
        return sorted(each for each in self._folder.iterdir() if not each.name.startswith(UNFINISHED))

    def _saved(self, home: Path, parts: Sequence[Part], kept: Sequence[NDArray[np.int64]]) -> Path:
        name = f"{time.time_ns():020}-{os.getpid()}"
        folder = home / f"{UNFINISHED}{name}"
        # What is in it was derived from what people wrote.
        folder.mkdir(parents=True, mode=0o700)
        try:
            marks = np.empty(sum(map(len, kept)), dtype=MARK)
            vectors = np.lib.format.open_memmap(
                folder / VECTORS, "w+", np.float32, (len(marks), _width(parts, kept))
            )
            _fill(marks, vectors, parts, kept)
            vectors.flush()
            np.save(folder / MARKS, marks)
            (folder / LISTS).write_bytes(faiss.serialize_index(with_lists(marks, vectors)).tobytes())
            sums = {each: _sum(folder / each) for each in (MARKS, VECTORS, LISTS)}
            facts = Facts(form=FORM, model=self._model, files=sums)
            (folder / FACTS).write_text(facts.model_dump_json())
            for each in (*sums, FACTS):
                _write_through(folder / each)
            folder.rename(home / name)
            _write_through(home)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return home / name

    def _loaded(self, folder: Path) -> Part:
        """Raises OSError or ValueError if it is not whole, or of another form or model."""
        facts = Facts.model_validate_json((folder / FACTS).read_bytes())
        if (facts.form, facts.model) != (FORM, self._model):
            raise ValueError(f"form {facts.form} of {facts.model}, not form {FORM} of {self._model}")
        for name in (MARKS, VECTORS, LISTS):
            if _sum(folder / name) != facts.files.get(name):
                raise ValueError(f"the check sum of {name} is another one")
        marks = np.load(folder / MARKS)
        lists: Any = faiss.read_index(str(folder / LISTS), faiss.IO_FLAG_MMAP_IFC)
        return Part(marks, np.load(folder / VECTORS, mmap_mode="r"), np.ones(len(marks), dtype=bool), lists)

    def _tidy(self) -> None:
        """Deletes what other models, and processes that were killed, have left behind."""
        if self._root is None or self._folder is None:
            return
        others = [each for each in self._root.iterdir() if each != self._folder]
        left = [each for each in self._folder.iterdir() if each.name.startswith(UNFINISHED)]
        for each in (*others, *left):
            if each.is_dir() and time.time() - each.stat().st_mtime > OLD_SECONDS:
                shutil.rmtree(each, ignore_errors=True)


def _width(parts: Sequence[Part], kept: Sequence[NDArray[np.int64]]) -> int:
    """Returns how much of the vectors is not 0 in all of them: 384 of 1024 for the embedded model."""
    width = ALIGNED
    for part, rows in zip(parts, kept, strict=True):
        for start in range(0, len(rows), EXACT):
            used = np.flatnonzero(part.vectors[rows[start : start + EXACT]].any(axis=0))
            width = max(width, int(used[-1]) + 1 if len(used) else 0)
    return -(-width // ALIGNED) * ALIGNED


def _fill(marks: Marks, vectors: Vectors, parts: Sequence[Part], kept: Sequence[NDArray[np.int64]]) -> None:
    """Copies the kept rows, EXACT at a time."""
    end = 0
    for part, rows in zip(parts, kept, strict=True):
        width = min(part.vectors.shape[1], vectors.shape[1])
        for start in range(0, len(rows), EXACT):
            chosen = rows[start : start + EXACT]
            here = slice(end, end + len(chosen))
            marks[here] = part.marks[chosen]
            vectors[here, :width] = part.vectors[chosen, :width]
            vectors[here, width:] = 0
            end += len(chosen)


def _sum(path: Path) -> int:
    total = 0
    with path.open("rb") as file:
        while block := file.read(READ_BYTES):
            total = zlib.crc32(block, total)
    return total


def _write_through(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
