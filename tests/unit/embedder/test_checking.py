"""`python -m services.embedder check FOLDER` shows how a model is read, and warns of poor vectors."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from services.embedder.checking import check, shape_of, timings
from services.embedder.model.packing import Tokens
from tests.support.bigram_embedder import Bigrams
from tests.support.models import write_graph, write_json, write_tokenizer

ROOT = Path(__file__).parents[3]
Floats = NDArray[np.float32]


class Lifted(Bigrams):
    """Dense vectors of a width, brought to 1024 numbers in some way."""

    def __init__(self, width: int, lift: Callable[[Floats], Floats]) -> None:
        self._projection = np.random.default_rng(1).standard_normal((1024, width)).astype(np.float32)
        self._lift = lift

    def run(self, batch: Sequence[Tokens]) -> Floats:
        vectors = self._lift(super().run(batch) @ self._projection)
        lengths: Floats = np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors / lengths


def said(model: Lifted) -> str:
    return " ".join(shape_of(model).warnings())


def test_a_model_of_full_width_is_not_warned_of() -> None:
    assert said(Lifted(1024, lambda vectors: vectors)) == ""


def test_a_model_filled_up_with_zeros_looks_lifted() -> None:
    warned = said(Lifted(384, lambda vectors: np.pad(vectors, ((0, 0), (0, 640)))))
    assert "lifted" in warned and "fills 384" in warned and "copies" not in warned


def test_a_model_filled_up_with_copies_looks_lifted() -> None:
    warned = said(Lifted(512, lambda vectors: np.tile(vectors, 2)))
    assert "lifted" in warned and "no more than 512 numbers" in warned and "zero in every" not in warned


def test_a_model_that_gives_every_text_nearly_the_same_vector_looks_collapsed() -> None:
    assert "collapsed" in said(Lifted(1024, lambda vectors: vectors + 10))


def test_a_model_whose_vectors_depend_on_their_batch_is_told() -> None:
    assert "depends on the batch" in said(Lifted(1024, lambda vectors: vectors + 0.2 * vectors.mean(axis=0)))


def test_lengths_that_are_timed_end_with_the_most_that_the_model_reads() -> None:
    timed = list(timings(Lifted(8, lambda vectors: vectors)))
    assert [timing.length for timing in timed] == [16, 64, 128, 256, 512]
    assert [timing.texts for timing in timed] == [32, 8, 4, 2, 1]


def test_the_command_shows_what_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_graph(tmp_path / "model.onnx")
    write_tokenizer(tmp_path)
    said = {"name": "tiny", "pooling": "mean", "max_tokens": 32, "prefixes": {"query": "query: "}}
    write_json(tmp_path / "celeriac.json", said)
    check(tmp_path)
    shown = capsys.readouterr().out
    for text in ("tiny@", "mean", "query 'query: ', passage ''", "32", "of which 1024 are not zero"):
        assert text in shown
    assert [line.split()[0] for line in shown.splitlines() if line.startswith("  ")] == ["16", "32"]
    assert shown.endswith("no warnings\n")


def test_a_folder_without_a_model_is_refused_with_its_fault(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="can't be used: expected "):
        check(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "fault"), [(["check"], "check needs a folder"), (["serve", "/x"], "serve takes no folder")]
)
def test_the_folder_belongs_to_its_command(arguments: list[str], fault: str) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "services.embedder", *arguments], cwd=ROOT, capture_output=True, text=True
    )
    assert run.returncode == 2 and fault in run.stderr
