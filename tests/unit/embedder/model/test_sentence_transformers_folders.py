"""Folders as sentence-transformers saves them: read as it reads them, or refused by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tokenizers import Tokenizer

from services.embedder.model.encoder import InputType, Pooling
from services.embedder.model.files import WrongModel
from services.embedder.model.graph import Engine
from services.embedder.model.onnx_model import OnnxModel
from services.embedder.model.runtime import onnxruntime
from tests.support.models import write_graph, write_json, write_tokenizer

Floats = NDArray[np.float32]
LIBRARY = "sentence_transformers"
# The names of modules in releases up to 5, and since 6.
TYPES_BEFORE = {kind: f"{LIBRARY}.models.{kind}" for kind in ("Transformer", "Pooling", "Normalize", "Dense")}
TYPES = {
    "Transformer": f"{LIBRARY}.base.modules.transformer.Transformer",
    "Pooling": f"{LIBRARY}.sentence_transformer.modules.pooling.Pooling",
    "Normalize": f"{LIBRARY}.base.modules.normalize.Normalize",
    "Dense": f"{LIBRARY}.base.modules.dense.Dense",
}
TEXTS = ("a b c d a b c", "a b", "d")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model that says nothing yet of its pooling."""
    folder = tmp_path / "tiny-model"
    write_graph(folder / "model.onnx")
    write_tokenizer(folder)
    return folder


def modules(*kinds: str, types: dict[str, str] = TYPES) -> list[dict[str, object]]:
    return [
        {"idx": idx, "name": str(idx), "path": f"{idx}_{kind}" if idx else "", "type": types[kind]}
        for idx, kind in enumerate(kinds)
    ]


def before(*on: str) -> dict[str, object]:
    """The pooling's configuration as releases up to 5 save it."""
    modes = (
        "cls_token",
        "mean_tokens",
        "max_tokens",
        "mean_sqrt_len_tokens",
        "weightedmean_tokens",
        "lasttoken",
    )
    return {
        "word_embedding_dimension": 1024,
        **{f"pooling_mode_{mode}": mode in on for mode in modes},
        "include_prompt": True,
    }


def today(mode: object, **more: object) -> dict[str, object]:
    """The same as release 6 saves it."""
    return {"embedding_dimension": 1024, "pooling_mode": mode, "include_prompt": True, **more}


def say(folder: Path, **files: object) -> None:
    """Writes pooling, modules, sentences (config_sentence_transformers.json) and so on."""
    names = {
        "pooling": "1_Pooling/config.json",
        "modules": "modules.json",
        "sentences": "config_sentence_transformers.json",
        "transformer": "sentence_bert_config.json",
        "tokenizer": "tokenizer_config.json",
        "config": "config.json",
        "ours": "celeriac.json",
    }
    for kind, content in files.items():
        write_json(folder / names[kind], content)


def load(folder: Path) -> OnnxModel:
    return OnnxModel(folder, Engine())


def embed(model: OnnxModel, *texts: str, kind: InputType = InputType.QUERY) -> Floats:
    return model.run(model.tokens(texts, kind))


def states(folder: Path, text: str) -> Floats:
    """The tokens' states of one text, without any padding, from the graph itself."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    ids = np.array([tokenizer.encode(text).ids], dtype=np.int64)
    given = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    found: Floats = onnxruntime.InferenceSession(folder / "model.onnx").run(["last_hidden_state"], given)[0][
        0
    ]
    return found


def unit(vectors: Floats) -> Floats:
    found: Floats = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return found


OF_NUMPY: dict[Pooling, Callable[[Floats], Floats]] = {
    Pooling.MEAN: lambda states: states.mean(axis=0),
    Pooling.CLS: lambda states: states[0],
    Pooling.LAST_TOKEN: lambda states: states[-1],
}


@pytest.mark.parametrize("types", [TYPES_BEFORE, TYPES], ids=["types before 6", "types of 6"])
@pytest.mark.parametrize(
    ("config", "pooling"),
    [
        (today("mean"), Pooling.MEAN),
        (today("cls"), Pooling.CLS),
        (today("lasttoken"), Pooling.LAST_TOKEN),
        (today(["cls"]), Pooling.CLS),
        ({"embedding_dimension": 1024, "pooling_mode": "cls"}, Pooling.CLS),
        # Where both are there, the newer one counts.
        ({**before("mean_tokens"), "pooling_mode": "lasttoken"}, Pooling.LAST_TOKEN),
        (before("mean_tokens"), Pooling.MEAN),
        (before("cls_token"), Pooling.CLS),
        (before("lasttoken"), Pooling.LAST_TOKEN),
    ],
    ids=lambda value: value.value if isinstance(value, Pooling) else "",
)
def test_vectors_are_pooled_as_either_form_says(
    folder: Path, types: dict[str, str], config: object, pooling: Pooling
) -> None:
    say(folder, pooling=config, modules=modules("Transformer", "Pooling", "Normalize", types=types))
    # Ours are padded on the right, whatever the tokenizer's side is: no vector depends on it.
    say(folder, tokenizer={"padding_side": "left"})
    model = load(folder)
    assert model.facts.pooling is pooling
    expected = np.array([unit(OF_NUMPY[pooling](states(folder, text))) for text in TEXTS])
    assert np.allclose(embed(model, *TEXTS), expected, atol=1e-5)


def test_a_module_may_be_in_another_folder_and_the_folders_alone_say_enough(folder: Path) -> None:
    write_json(folder / "2_Pooling/config.json", today("cls"))
    assert load(folder).facts.pooling is Pooling.CLS
    elsewhere = modules("Transformer", "Pooling")
    elsewhere[1]["path"] = "other"
    say(folder, modules=elsewhere)
    write_json(folder / "other/config.json", today("lasttoken"))
    assert load(folder).facts.pooling is Pooling.LAST_TOKEN


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({}, r"a pooling.*found none in celeriac.json, modules.json and 1_Pooling/config.json.*example"),
        ({"modules": modules("Transformer", "Normalize")}, "expected a pooling"),
        # modules.json names no pooling, so that the folder's is not used.
        ({"modules": modules("Transformer"), "pooling": today("cls")}, "expected a pooling"),
        (
            {"modules": modules("Transformer", "Pooling")},
            "mode of cls, lasttoken, mean in 1_Pooling/config.json, found no such file; for example",
        ),
        ({"pooling": {"embedding_dimension": 1024}}, "1_Pooling/config.json, found none; for example"),
        ({"pooling": before()}, "found none; for example"),
        ({"pooling": today("max")}, "found max; for example"),
        ({"pooling": today("CLS")}, "found CLS;"),
        ({"pooling": today("weightedmean")}, "found weightedmean;"),
        ({"pooling": today("mean_sqrt_len_tokens")}, "found mean_sqrt_len_tokens;"),
        ({"pooling": today("of tomorrow")}, "found of tomorrow;"),
        ({"pooling": today(["cls", "mean"])}, "found cls and mean;"),
        ({"pooling": today([])}, "found none;"),
        (
            {"pooling": today(None)},
            "pooling_mode to be a name or a list of names .*, found None; for example",
        ),
        ({"pooling": before("cls_token", "mean_tokens")}, "found cls and mean;"),
        ({"pooling": before("max_tokens")}, "found max;"),
        ({"pooling": {"pooling_mode_of_tomorrow": True}}, "found pooling_mode_of_tomorrow;"),
        (
            {"pooling": {"pooling_mode_cls_token": "yes"}},
            "pooling_mode_cls_token to be true or false .*'yes'",
        ),
    ],
)
def test_a_pooling_that_is_unknown_combined_or_not_said_refuses_the_start(
    folder: Path, files: dict[str, object], told: str
) -> None:
    say(folder, **files)
    with pytest.raises(WrongModel, match=told):
        load(folder)


@pytest.mark.parametrize(
    ("kinds", "found"),
    [
        (("Transformer", "Pooling", "Dense"), "Transformer, Pooling, Dense"),
        (("Transformer", "Pooling", "Pooling"), "Transformer, Pooling, Pooling"),
        (("Transformer", "Normalize", "Pooling"), "Transformer, Normalize, Pooling"),
    ],
)
def test_no_module_is_left_out(folder: Path, kinds: tuple[str, ...], found: str) -> None:
    say(folder, pooling=today("mean"), modules=modules(*kinds))
    # What we say ourselves is no reason to leave a module out.
    for ours in ({}, {"pooling": "mean"}):
        say(folder, ours=ours)
        with pytest.raises(WrongModel, match=f"expected modules.json to have .*, found {found}"):
            load(folder)


def test_a_folder_without_modules_json_and_modules_of_others_are_refused_by_name(folder: Path) -> None:
    say(folder, pooling=today("mean"))
    (folder / "2_Dense").mkdir()
    with pytest.raises(WrongModel, match=r"expected the numbered folders to have .*Pooling, Dense"):
        load(folder)
    of_others = modules("Transformer", "Pooling")
    of_others[0]["type"] = "custom_st.Transformer"
    say(folder, modules=of_others)
    with pytest.raises(WrongModel, match=r"found custom_st\.Transformer, Pooling"):
        load(folder)


def test_a_pooling_that_does_not_fit_the_graphs_own_vector_is_refused(folder: Path) -> None:
    write_graph(folder / "model.onnx", pooled=True, tokens_too=True)
    say(folder, pooling=today("cls"))
    model = load(folder)
    assert model.facts.pooling is Pooling.CLS
    assert np.allclose(
        embed(model, "a b", "c"), [unit(states(folder, text)[0]) for text in ("a b", "c")], atol=1e-5
    )
    say(folder, pooling=today("mean"))
    with pytest.raises(WrongModel, match="'sentence_embedding' to be the mean of its 'last_hidden_state'"):
        load(folder)


@pytest.mark.parametrize(
    "graph",
    [
        # Made for padding on the left: its last position would be padding here.
        {"pooled": True, "position": -1},
        # Without the mask, it attends to the padding, too.
        {"inputs": ("input_ids",)},
    ],
)
def test_a_graph_whose_vectors_change_with_the_padding_is_refused(
    folder: Path, graph: dict[str, Any]
) -> None:
    write_graph(folder / "model.onnx", **graph)
    say(folder, pooling=today("lasttoken"))
    with pytest.raises(WrongModel, match="padding on the right to change no vector"):
        load(folder)


def test_among_outputs_without_a_known_name_none_is_picked(folder: Path) -> None:
    say(folder, pooling=today("cls"))
    write_graph(folder / "model.onnx", states="1607")
    assert load(folder).facts.pooling is Pooling.CLS
    write_graph(folder / "model.onnx", states="1607", pooled=True, tokens_too=True, text="1608")
    with pytest.raises(WrongModel, match=r"or a single one, found \['1607', '1608'\]"):
        load(folder)


PROMPTS_OF = [
    # Of release 6, which adds empty ones.
    ({"query": "query: ", "document": ""}, None, ("query: ", "")),
    ({"query": "query: ", "passage": "passage: "}, None, ("query: ", "passage: ")),
    ({"query": "a ", "corpus": "b "}, None, ("a ", "b ")),
    # The default is for what has no prompt of its own, as encode_query and encode_document have it.
    ({"query": "a ", "other": "b "}, "other", ("a ", "b ")),
    ({"query": "a ", "document": ""}, "query", ("a ", "")),
    ({"all": "a "}, "all", ("a ", "a ")),
    ({"query": None, "document": "a "}, None, ("", "a ")),
    ({}, None, ("", "")),
]


@pytest.mark.parametrize(("prompts", "default", "expected"), PROMPTS_OF)
def test_prompts_are_those_of_encode_query_and_encode_document(
    folder: Path, prompts: dict[str, object], default: str | None, expected: tuple[str, str]
) -> None:
    say(folder, pooling=today("mean"), sentences={"prompts": prompts, "default_prompt_name": default})
    model = load(folder)
    assert tuple(model.facts.prefixes[kind] for kind in InputType) == expected
    for kind, prefix in zip(InputType, expected, strict=True):
        wanted = unit(states(folder, f"{prefix}c d").mean(axis=0))
        assert np.allclose(embed(model, "c d", kind=kind)[0], wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (
            {"sentences": {"prompts": {"retrieval.query": "a "}}},
            "named query or document .*found retrieval.query",
        ),
        (
            {"sentences": {"prompts": {"query": "a ", "document": "", "passage": "b "}}},
            "one prompt for passage in config_sentence_transformers.json, found .*celeriac.json, for example",
        ),
        (
            {"sentences": {"prompts": {}, "default_prompt_name": "x"}},
            "default_prompt_name to be one of .*'x'",
        ),
        ({"sentences": {"prompts": {"query": 1}}}, "prompts to be texts by name"),
        ({"sentences": {"prompts": ["a "]}}, "prompts to be a JSON object"),
        ({"ours": {"prefixes": {"document": "a "}}}, "prefixes of query and passage, found document"),
        (
            {"sentences": {"prompts": {"query": "a "}}, "pooling": today("mean", include_prompt=False)},
            "include_prompt true in 1_Pooling/config.json, found false",
        ),
        ({"sentences": {"similarity_fn_name": "dot"}}, "similarity_fn_name .*, found 'dot'"),
        ({"sentences": {"truncate_dim": 512}}, "truncate_dim of null or 1024 .*, found 512"),
        ({"sentences": {"model_type": "SparseEncoder"}}, "model_type SentenceTransformer .*'SparseEncoder'"),
        (
            {"transformer": {"do_lower_case": "yes"}},
            "do_lower_case to be true or false in sentence_bert_config",
        ),
        ({"transformer": {"query_length": 32}}, "no query_length in sentence_bert_config.json, found 32"),
        ({"transformer": {"tokenizer_args": {"add_prefix_space": True}}}, "tokenizer_args.*add_prefix_space"),
        ({"transformer": {"processing_kwargs": {"chat_template": {"a": 1}}}}, "found .*chat_template"),
        (
            {"transformer": {"modality_config": {"text": {}, "message": {"method": "forward"}}}},
            "modality_config in sentence_bert_config.json to have text and no message .*found text, message",
        ),
        ({"transformer": {"max_seq_length": 0}}, "maximum of tokens .* found 0"),
        ({"tokenizer": {"truncation_side": "middle"}}, "truncation_side to be left or right .*'middle'"),
        (
            {"tokenizer": {"add_eos_token": True, "eos_token": "[PAD]"}},
            r"json to end each text with '\[PAD\]', as tokenizer_config.json says, found \['\[SEP\]'\]",
        ),
        (
            {"tokenizer": {"add_bos_token": True, "bos_token": {"content": "[SEP]"}}},
            r"tokenizer.json to begin each text with '\[SEP\]'.*found \['\[CLS\]'\]",
        ),
    ],
)
def test_what_would_make_other_vectors_is_refused_by_name(
    folder: Path, files: dict[str, object], told: str
) -> None:
    say(folder, **{"pooling": today("mean"), **files})
    with pytest.raises(WrongModel, match=told):
        load(folder)


def test_what_changes_no_vector_is_no_reason_to_refuse(folder: Path) -> None:
    """Without a prefix no prompt is left out, and of vectors with length 1 dot orders as the cosine does."""
    say(
        folder,
        pooling=today("mean", include_prompt=False),
        modules=modules("Transformer", "Pooling", "Normalize"),
        sentences={"similarity_fn_name": "dot", "model_type": "SentenceTransformer", "truncate_dim": 1024},
        transformer={
            "transformer_task": "feature-extraction",
            "modality_config": {"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
            "module_output_name": "token_embeddings",
        },
        tokenizer={"add_eos_token": True, "eos_token": {"content": "[SEP]"}, "add_bos_token": False},
    )
    assert load(folder).facts.pooling is Pooling.MEAN


def test_an_instructed_e5_without_prompts_gets_no_other_e5s_prefixes(folder: Path) -> None:
    e5 = folder.rename(folder.with_name("multilingual-e5-large-instruct"))
    say(e5, pooling=today("mean"))
    with pytest.raises(WrongModel, match=r"e5 and instruct in its name.*celeriac.json, for example"):
        load(e5)
    say(e5, ours={"prefixes": {"query": "query: ", "passage": ""}})
    assert load(e5).facts.prefixes == {InputType.QUERY: "query: ", InputType.PASSAGE: ""}


def test_texts_are_made_lower_case_where_the_folder_says_so(folder: Path) -> None:
    say(folder, pooling=today("mean"))
    cased = load(folder)
    say(folder, transformer={"max_seq_length": 512, "do_lower_case": True})
    model = load(folder)
    assert np.allclose(embed(model, "A b C"), [unit(states(folder, "a b c").mean(axis=0))], atol=1e-5)
    assert not np.allclose(embed(cased, "A b C"), embed(model, "A b C"), atol=1e-2)
    assert model.facts.digest != cased.facts.digest, "they are two models"


def test_long_texts_are_cut_on_the_side_that_the_tokenizer_says(folder: Path) -> None:
    say(folder, pooling=today("mean"), transformer={"max_seq_length": 8})
    right = load(folder)
    say(folder, tokenizer={"truncation_side": "left"})
    left = load(folder)
    text = "a a a a a a b b b b b b"
    for model, kept in ((right, "a a a a a a"), (left, "b b b b b b")):
        [tokens] = model.tokens([text], InputType.QUERY)
        assert (tokens.truncated, len(tokens)) == (True, 8)
        assert np.allclose(model.run([tokens]), [unit(states(folder, kept).mean(axis=0))], atol=1e-5)
    assert left.facts.digest != right.facts.digest


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        # sentence-transformers' own maximum comes before the tokenizer's, whichever is greater.
        ({"transformer": {"max_seq_length": 64}, "tokenizer": {"model_max_length": 16}}, 64),
        ({"transformer": {"max_seq_length": 16}, "tokenizer": {"model_max_length": 64}}, 16),
        ({"transformer": {"processing_kwargs": {"text": {"max_length": 24}}, "max_seq_length": 16}}, 24),
        # Release 6 saves it in the tokenizer's file alone, and heeds the model's positions.
        (
            {
                "transformer": {},
                "tokenizer": {"model_max_length": 1024},
                "config": {"max_position_embeddings": 32},
            },
            32,
        ),
        ({"tokenizer": {"model_max_length": 1e30}, "config": {"max_position_embeddings": 64}}, 64),
        ({"tokenizer": {"model_max_length": 1e30}, "config": {"max_position_embeddings": -1}}, 512),
        ({"tokenizer": {"model_max_length": 2048}}, 2048),
        ({}, 512),
        ({"ours": {"max_tokens": 40}, "transformer": {"max_seq_length": 16}}, 40),
    ],
)
def test_the_most_tokens_are_those_of_sentence_transformers(
    folder: Path, files: dict[str, object], expected: int
) -> None:
    say(folder, pooling=today("mean"), **files)
    model = load(folder)
    [tokens] = model.tokens(["a " * 3000], InputType.QUERY)
    assert model.facts.max_tokens == len(tokens) == expected
