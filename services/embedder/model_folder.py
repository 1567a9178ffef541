"""A model as a folder: what an ONNX export and sentence-transformers leave in it, read and checked.

model.onnx or onnx/model.onnx     the graph, perhaps with its weights in files beside it
tokenizer.json                    the tokenizer
1_Pooling/config.json             how tokens' vectors become the text's (its place is in modules.json)
sentence_bert_config.json         max_seq_length
tokenizer_config.json             model_max_length
config_sentence_transformers.json prompts: what is put before queries and passages
celeriac.json                     ours: name, pooling, max_tokens, prefixes; what it says comes first
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from services.embedder.encoder import InputType, Pooling
from services.kernel.logged_errors import Loggable

GRAPHS = ("model.onnx", "onnx/model.onnx")
DEFAULT_MAX_TOKENS = 512
# Beyond this, attention takes gigabytes for one text.
MOST_TOKENS = 8192
POOLINGS = {
    "pooling_mode_mean_tokens": Pooling.MEAN,
    "pooling_mode_cls_token": Pooling.CLS,
    "pooling_mode_lasttoken": Pooling.LAST_TOKEN,
}
# The names under which exports keep their prompts.
PROMPTS = {
    InputType.QUERY: ("query", "s2p_query"),
    InputType.PASSAGE: ("passage", "document", "text"),
}
# The E5 family needs its prefixes, and its exports don't say so.
E5_PREFIXES = {InputType.QUERY: "query: ", InputType.PASSAGE: "passage: "}


class WrongModel(Loggable):
    """What was expected of the model's folder, and what was found."""


@dataclass(frozen=True)
class ModelFolder:
    """What the folder says. `pooling` is None where it says nothing."""

    graph: Path
    tokenizer: Path
    name: str
    pooling: Pooling | None
    max_tokens: int
    prefixes: dict[InputType, str]

    def digest(self) -> str:
        """SHA-256 over all that makes its vectors: graph, weights, tokenizer, and what is said of it."""
        total = hashlib.sha256()
        beside = sorted(path for path in self.graph.parent.iterdir() if _holds_weights(path))
        for path in [self.graph, *beside, self.tokenizer]:
            with path.open("rb") as file:
                total.update(hashlib.file_digest(file, "sha256").digest())
        pooling = self.pooling.value if self.pooling else ""
        said = [pooling, self.max_tokens, *(self.prefixes[kind] for kind in InputType)]
        total.update(orjson.dumps(said))
        return total.hexdigest()


def read_folder(folder: Path) -> ModelFolder:
    """Reads the folder; raises WrongModel."""
    if not folder.is_dir():
        raise WrongModel("expected a folder with model.onnx and tokenizer.json, found no folder there")
    graphs = [folder / name for name in GRAPHS if (folder / name).is_file()]
    if not graphs:
        raise WrongModel(f"expected model.onnx or onnx/model.onnx in it, found {_listing(folder)}")
    tokenizer = folder / "tokenizer.json"
    if not tokenizer.is_file():
        raise WrongModel(f"expected tokenizer.json in it, found {_listing(folder)}")
    ours = _json(folder / "celeriac.json")
    name = ours.get("name") or folder.resolve().name
    if not isinstance(name, str) or "@" in name or not 0 < len(name) <= 100:
        raise WrongModel(f"expected a name of 1 to 100 characters without @ in celeriac.json, found {name!r}")
    return ModelFolder(
        graph=graphs[0],
        tokenizer=tokenizer,
        name=name,
        pooling=_pooling(folder, ours),
        max_tokens=_max_tokens(folder, ours),
        prefixes=_prefixes(folder, ours, name),
    )


def _pooling(folder: Path, ours: Mapping[str, Any]) -> Pooling | None:
    if "pooling" in ours:
        known = [pooling.value for pooling in Pooling if pooling is not Pooling.UNKNOWN]
        if ours["pooling"] not in known:
            found = ours["pooling"]
            raise WrongModel(f"expected pooling to be one of {known} in celeriac.json, found {found!r}")
        return Pooling(ours["pooling"])
    place = "1_Pooling"
    for module in _modules(folder):
        kind = str(module.get("type", "")).rpartition(".")[2]
        if kind == "Pooling":
            place = str(module.get("path", place))
        elif kind not in ("Transformer", "Normalize"):
            raise WrongModel(
                f"expected modules.json to have Transformer, Pooling and Normalize, found {kind}"
            )
    config = _json(folder / place / "config.json")
    modes = [mode for mode, on in config.items() if mode.startswith("pooling_mode") and on is True]
    if not modes:
        return None
    if len(modes) > 1 or modes[0] not in POOLINGS:
        raise WrongModel(f"expected one pooling mode of {sorted(POOLINGS)}, found {modes}")
    return POOLINGS[modes[0]]


def _max_tokens(folder: Path, ours: Mapping[str, Any]) -> int:
    """The least of what is said; what a tokenizer says of no limit (1e30) is no limit."""
    if "max_tokens" in ours:
        said = [ours["max_tokens"]]
    else:
        said = [
            _json(folder / "sentence_bert_config.json").get("max_seq_length"),
            _json(folder / "tokenizer_config.json").get("model_max_length"),
        ]
        said = [limit for limit in said if isinstance(limit, int | float) and limit < 1e9]
    least = min(said, default=DEFAULT_MAX_TOKENS)
    if not isinstance(least, int | float) or least != int(least) or least < 8:
        raise WrongModel(f"expected the maximum of tokens to be a whole number from 8 on, found {least!r}")
    return min(int(least), MOST_TOKENS)


def _prefixes(folder: Path, ours: Mapping[str, Any], name: str) -> dict[InputType, str]:
    if "prefixes" in ours:
        said = ours["prefixes"]
        if not isinstance(said, dict) or not all(isinstance(value, str) for value in said.values()):
            raise WrongModel(f"expected prefixes to be texts by name in celeriac.json, found {said!r}")
        return {kind: said.get(kind.value, "") for kind in InputType}
    prompts = _json(folder / "config_sentence_transformers.json").get("prompts") or {}
    found = {
        kind: next((prompts[key] for key in keys if prompts.get(key)), "") for kind, keys in PROMPTS.items()
    }
    if not any(found.values()) and "e5" in name.lower().replace("_", "-").split("-"):
        return E5_PREFIXES
    return found


def _modules(folder: Path) -> list[Mapping[str, Any]]:
    path = folder / "modules.json"
    if not path.is_file():
        return []
    modules = _parsed(path)
    if not isinstance(modules, list) or not all(isinstance(module, dict) for module in modules):
        raise WrongModel(f"expected a list of modules in {path.name}, found something else")
    return modules


def _json(path: Path) -> Mapping[str, Any]:
    """An object's fields; none when there is no such file."""
    if not path.is_file():
        return {}
    found = _parsed(path)
    if not isinstance(found, dict):
        raise WrongModel(f"expected a JSON object in {path.name}, found {type(found).__name__}")
    return found


def _parsed(path: Path) -> Any:  # whatever JSON the file has
    try:
        return orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise WrongModel(f"expected JSON in {path.name}, found none: {error}") from None


def _holds_weights(path: Path) -> bool:
    """Files that a graph may keep its weights in: exporters call them model.onnx.data, model.onnx_data."""
    return (
        path.is_file()
        and path.suffix not in {".onnx", ".json", ".md", ".txt", ".model"}
        and (not path.name.startswith("."))
    )


def _listing(folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir())
    return ", ".join(names[:10]) or "nothing"
