"""What of a model is kept before a fork is used for as long as the model's folder stays as it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.embedder.model import unrun as unrun_module
from services.embedder.model.encoder import InputType
from services.embedder.model.files import WrongModel
from services.embedder.model.graph import Engine
from services.embedder.model.onnx_model import OnnxModel
from services.embedder.model.unrun import Unrun
from tests.support.models import write_graph, write_json, write_tokenizer


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "tiny-model"
    write_graph(folder / "model.onnx")
    write_tokenizer(folder)
    write_json(folder / "1_Pooling/config.json", {"embedding_dimension": 1024, "pooling_mode": "mean"})
    yield folder
    unrun_module._kept.pop(folder, None)


def test_what_is_kept_is_loaded_once(folder: Path) -> None:
    assert Unrun.load(folder) is not Unrun.load(folder)
    Unrun.keep(folder)
    first, second = Unrun.load(folder), Unrun.load(folder, with_tokenizer=False)
    assert first is second and first.tokenizer is not None


@pytest.mark.parametrize("name", ["model.onnx", "1_Pooling/config.json", "added.json"])
def test_a_folder_that_has_changed_since_is_read_again(folder: Path, name: str) -> None:
    Unrun.keep(folder)
    kept = Unrun.load(folder)
    path = folder / name
    content = path.read_bytes() if path.exists() else b"{}"
    replaced = path.with_name("replaced")
    replaced.write_bytes(content)
    replaced.rename(path)
    assert Unrun.load(folder) is not kept


def test_a_model_that_is_kept_embeds_as_one_that_is_not(folder: Path) -> None:
    texts = ["a b c d", "d"]
    apart = OnnxModel(folder, Engine())
    Unrun.keep(folder)
    kept = OnnxModel(folder, Engine())
    assert kept.facts == apart.facts
    one, other = (model.run(model.tokens(texts, InputType.QUERY)) for model in (apart, kept))
    assert one.tolist() == other.tolist()


def test_nothing_is_kept_of_a_folder_that_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(WrongModel):
        Unrun.keep(tmp_path / "none")
    with pytest.raises(WrongModel):
        Unrun.load(tmp_path / "none")
