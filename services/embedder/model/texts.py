"""Reads how a model's texts are prepared: their prefixes, their maximum length, and where they are cut.

sentence_bert_config.json         max_seq_length, do_lower_case, processing_kwargs, modality_config
tokenizer_config.json             model_max_length, truncation_side, add_bos_token, add_eos_token
config.json                       max_position_embeddings
config_sentence_transformers.json prompts, default_prompt_name
celeriac.json                     max_tokens, prefixes; it overrides the others
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from services.embedder.model.encoder import InputType
from services.embedder.model.files import WrongModel, fields, flag, part

DEFAULT_MAX_TOKENS = 512
# Beyond this, attention takes gigabytes for one text.
MOST_TOKENS = 8192
# Tokenizers without a limit state a number above this (1e30).
NO_LIMIT = 1e9
TOKENIZER = "tokenizer_config.json"
SENTENCES = "config_sentence_transformers.json"
# The first of these files that exists is read.
TRANSFORMERS = (
    "sentence_bert_config.json",
    *(
        f"sentence_{kind}_config.json"
        for kind in ("roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
    ),
)
# Fields of models that prepare queries and documents in different ways, which is not supported here.
UNREAD = ("query_length", "document_length", "query_expansion")
TOKENIZER_ARGUMENTS = {"model_max_length", "padding_side", "trust_remote_code", "use_fast"}
# The names that exports use for their prompts.
PROMPTS = {
    InputType.QUERY: ("query", "s2p_query"),
    InputType.PASSAGE: ("document", "passage", "corpus", "text"),
}
# The E5 family needs its prefixes, and its exports don't say so.
E5_PREFIXES = {InputType.QUERY: "query: ", InputType.PASSAGE: "passage: "}
PREFIXES_EXAMPLE = 'in celeriac.json, for example {"prefixes": {"query": "query: ", "passage": ""}}'


@dataclass(frozen=True)
class Reading:
    """How a text is converted to tokens, in addition to what tokenizer.json defines.

    `begin` and `end` are the tokens that each text must begin and end with, None if
    tokenizer_config.json requires none.
    """

    max_tokens: int
    lower_case: bool = False
    cut_at_begin: bool = False
    begin: str | None = None
    end: str | None = None


def read_reading(folder: Path, ours: Mapping[str, Any]) -> Reading:
    """Reads it from the folder; `ours` are the fields of celeriac.json. Raises WrongModel."""
    name = next((name for name in TRANSFORMERS if (folder / name).is_file()), TRANSFORMERS[0])
    config, tokenizer = fields(folder, name), fields(folder, TOKENIZER)
    _refuse_unread(config, name)
    side = tokenizer.get("truncation_side", "right")
    if side not in ("left", "right"):
        raise WrongModel(f"expected truncation_side to be left or right in {TOKENIZER}, found {side!r}")
    return Reading(
        max_tokens=_max_tokens(folder, ours, config, name),
        lower_case=flag(config, "do_lower_case", name, False),
        cut_at_begin=side == "left",
        begin=_token(tokenizer, "bos_token") if flag(tokenizer, "add_bos_token", TOKENIZER, False) else None,
        end=_token(tokenizer, "eos_token") if flag(tokenizer, "add_eos_token", TOKENIZER, False) else None,
    )


def read_prefixes(folder: Path, ours: Mapping[str, Any], name: str) -> dict[InputType, str]:
    """Returns the prefix for each type of text, "" for none. Raises WrongModel."""
    if "prefixes" in ours:
        said = ours["prefixes"]
        if not isinstance(said, dict) or not all(isinstance(value, str) for value in said.values()):
            raise WrongModel(f"expected prefixes to be texts by name in celeriac.json, found {said!r}")
        unknown = sorted(set(said) - {kind.value for kind in InputType})
        if unknown:
            raise WrongModel(
                f"expected prefixes of query and passage, found {', '.join(unknown)} {PREFIXES_EXAMPLE}"
            )
        return {kind: said.get(kind.value, "") for kind in InputType}
    config = fields(folder, SENTENCES)
    prompts = {key: text or "" for key, text in part(config, "prompts", SENTENCES).items()}
    if not all(isinstance(text, str) for text in prompts.values()):
        raise WrongModel(f"expected prompts to be texts by name in {SENTENCES}, found {prompts!r}")
    found = {kind: _prompt(prompts, kind, config.get("default_prompt_name")) for kind in InputType}
    if any(found.values()):
        return found
    if any(prompts.values()):
        raise WrongModel(
            f"expected prompts named query or document in {SENTENCES},"
            f" found {', '.join(key for key, text in prompts.items() if text)};"
            f" say what is put before queries and passages {PREFIXES_EXAMPLE}"
        )
    return _prefixes_of_family(name) or found


def _prompt(prompts: Mapping[str, str], kind: InputType, default: object) -> str:
    """Returns the first prompt under the names of the kind, or else the default prompt.

    This is what encode_query and encode_document of sentence-transformers do. An empty prompt counts too. But
    sentence-transformers also writes empty prompts under names that the model never had, and they can hide
    the model's own: that raises WrongModel.
    """
    texts = {key: prompts[key] for key in PROMPTS[kind] if key in prompts}
    if texts:
        first = next(iter(texts.values()))
        if not first and any(texts.values()):
            raise WrongModel(
                f"expected one prompt for {kind.value} in {SENTENCES}, found {texts};"
                f" say which {PREFIXES_EXAMPLE}"
            )
        return first
    if default is None:
        return ""
    if default not in prompts:
        raise WrongModel(
            f"expected default_prompt_name to be one of the prompts {sorted(prompts)} in {SENTENCES},"
            f" found {default!r}"
        )
    return prompts[str(default)]


def _prefixes_of_family(name: str) -> dict[InputType, str] | None:
    parts = name.lower().replace("_", "-").split("-")
    if "e5" not in parts:
        return None
    if "instruct" in parts:
        raise WrongModel(
            "expected prompts of a model with e5 and instruct in its name, whose queries begin with an"
            f" instruction, found none in {SENTENCES}; say them in celeriac.json, for example"
            ' {"prefixes": {"query": "Instruct: Find the answer to the question\\nQuery: ", "passage": ""}}'
        )
    return E5_PREFIXES


def _max_tokens(folder: Path, ours: Mapping[str, Any], config: Mapping[str, Any], name: str) -> int:
    """Returns the maximum of tokens as sentence-transformers computes it, or that of celeriac.json.

    It is the maximum in its own files, or else the tokenizer's, limited by the model's positions.
    """
    tokenizer = fields(folder, TOKENIZER).get("model_max_length")
    own = [
        part(part(config, "processing_kwargs", name), "text", name).get("max_length"),
        *(part(config, key, name).get("model_max_length") for key in ("processor_kwargs", "tokenizer_args")),
        config.get("max_seq_length"),
    ]
    if "max_tokens" in ours:
        least = ours["max_tokens"]
    else:
        least = next((limit for limit in own if limit is not None), None)
    if least is None:
        limit = tokenizer if _is_limit(tokenizer) else DEFAULT_MAX_TOKENS
        positions = fields(folder, "config.json").get("max_position_embeddings")
        least = min(limit, positions) if _is_limit(positions) and positions > 0 else limit
    if isinstance(least, bool) or not isinstance(least, int | float) or least != int(least) or least < 8:
        raise WrongModel(
            f"expected the maximum of tokens to be a whole number from 8 on, found {least!r};"
            ' for example {"max_tokens": 512} in celeriac.json'
        )
    return min(int(least), MOST_TOKENS)


def _is_limit(said: object) -> TypeGuard[int | float]:
    return isinstance(said, int | float) and said < NO_LIMIT


def _refuse_unread(config: Mapping[str, Any], name: str) -> None:
    """Refuses fields that would change tokens or vectors and are not supported here."""
    for key in UNREAD:
        if config.get(key) is not None:
            raise WrongModel(
                f"expected no {key} in {name}, found {config[key]!r}: all texts are read in one way"
            )
    for key in ("processor_kwargs", "tokenizer_args"):
        arguments = sorted(set(part(config, key, name)) - TOKENIZER_ARGUMENTS)
        if arguments:
            raise WrongModel(f"expected {key} in {name} of {sorted(TOKENIZER_ARGUMENTS)}, found {arguments}")
    processing = part(config, "processing_kwargs", name)
    unread = [key for key in processing if processing[key] and key != "text"]
    unread += [f"text.{key}" for key in part(processing, "text", name) if key != "max_length"]
    if unread:
        raise WrongModel(
            f"expected processing_kwargs in {name} to have text.max_length alone, found {unread}"
        )
    kinds = part(config, "modality_config", name)
    if kinds and ("text" not in kinds or "message" in kinds):
        raise WrongModel(
            f"expected modality_config in {name} to have text and no message (a chat template would be put"
            f" around each text), found {', '.join(kinds)}"
        )


def _token(tokenizer: Mapping[str, Any], key: str) -> str:
    """Returns a special token, which the file states as a text or as an object that contains it."""
    said = tokenizer.get(key)
    token = said.get("content") if isinstance(said, dict) else said
    if not isinstance(token, str):
        raise WrongModel(f"expected {key} to be a token in {TOKENIZER}, found {said!r}")
    return token
