"""Reads and checks a model's folder, with the files that ONNX exports and sentence-transformers write.

model.onnx or onnx/model.onnx     the graph, perhaps with its weights in files beside it
tokenizer.json                    the tokenizer
modules.json, 1_Pooling           the pooling of the tokens' vectors (pooling.py)
config_sentence_transformers.json prompts (texts.py), and how vectors are compared
celeriac.json                     our own (`KNOWN`); it overrides the others

Nothing that determines vectors is guessed: a folder that asks for anything this code doesn't compute is
refused, with the file and the field that ask for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from services.embedder.model.encoder import DIMENSIONS, InputType, Pooling
from services.embedder.model.files import WrongModel, fields
from services.embedder.model.pooling import Modules, includes_prompt, read_modules, read_pooling
from services.embedder.model.texts import SENTENCES, Reading, read_prefixes, read_reading

GRAPHS = ("model.onnx", "onnx/model.onnx")
# The fields of celeriac.json. `source`: where the embedded model was made from, which changes nothing.
KNOWN = ("graph", "max_tokens", "name", "pooling", "prefixes", "source", "truncate_dim")
# Types of models that count positions from another number than 0, where their graph is fed them.
OTHER_POSITIONS = ("camembert", "longformer", "mpnet", "roberta", "xlm-roberta", "xmod")


@dataclass(frozen=True)
class ModelFolder:
    """The contents of a folder. `pooling` is None if no file states it.

    `cut`: wider vectors are cut to 1024 numbers, as models that were trained for it allow (Matryoshka
    representation learning, Kusupati et al., NeurIPS 2022).
    """

    graph: Path
    tokenizer: Path
    name: str
    pooling: Pooling | None
    reading: Reading
    prefixes: dict[InputType, str]
    cut: bool = False
    # What config.json calls the model's type; empty if it does not say.
    kind: str = ""

    def refuse_other_positions(self, inputs: Sequence[str]) -> None:
        """Raises WrongModel if the graph has to be fed positions, and its type does not count from 0."""
        if "position_ids" in inputs and self.kind in OTHER_POSITIONS:
            raise WrongModel(
                f"expected a graph without the input 'position_ids' for model_type {self.kind!r} in"
                " config.json, found one: that type does not count positions from 0; export it without them"
            )

    def digest(self) -> str:
        """Returns the SHA-256, in hex, of what determines vectors: graph, weights, tokenizer, settings."""
        total = hashlib.sha256()
        beside = sorted(path for path in self.graph.parent.iterdir() if _holds_weights(path))
        for path in [self.graph, *beside, self.tokenizer]:
            with path.open("rb") as file:
                total.update(hashlib.file_digest(file, "sha256").digest())
        pooling = self.pooling.value if self.pooling else ""
        said = [pooling, self.reading.max_tokens, *(self.prefixes[kind] for kind in InputType)]
        # Added only where they are set, so that the digests of all other models do not change.
        said += ["lower case"] if self.reading.lower_case else []
        said += ["cut at the beginning"] if self.reading.cut_at_begin else []
        total.update(orjson.dumps(said))
        return total.hexdigest()


def read_folder(folder: Path) -> ModelFolder:
    """Reads the folder. Raises WrongModel."""
    if not folder.is_dir():
        raise WrongModel("expected a folder with model.onnx and tokenizer.json, found no folder there")
    ours = fields(folder, "celeriac.json")
    unknown = sorted(set(ours) - set(KNOWN))
    if unknown:
        raise WrongModel(f"expected only {', '.join(KNOWN)} in celeriac.json, found {unknown[0]!r}")
    graph = _graph(folder, ours)
    tokenizer = folder / "tokenizer.json"
    if not tokenizer.is_file():
        raise WrongModel(f"expected tokenizer.json in it, found {_listing(folder)}")
    name = ours.get("name") or folder.resolve().name
    if not isinstance(name, str) or "@" in name or not 0 < len(name) <= 100:
        raise WrongModel(f"expected a name of 1 to 100 characters without @ in celeriac.json, found {name!r}")
    modules = read_modules(folder)
    found = ModelFolder(
        graph=graph,
        tokenizer=tokenizer,
        name=name,
        pooling=read_pooling(folder, modules, ours),
        reading=read_reading(folder, ours),
        prefixes=read_prefixes(folder, ours, name),
        cut=_cut(folder, ours),
        kind=str(fields(folder, "config.json").get("model_type") or ""),
    )
    if any(found.prefixes.values()) and not includes_prompt(folder, modules):
        raise WrongModel(
            f"expected include_prompt true in {modules.pooling or '1_Pooling'}/config.json, found false:"
            " the tokens of a prefix are pooled with the text's own"
        )
    _refuse_other_vectors(folder, modules)
    return found


def _graph(folder: Path, ours: Mapping[str, Any]) -> Path:
    """Returns the graph that celeriac.json names, as model_quantized.onnx, or the usual one."""
    if "graph" not in ours:
        found = next((folder / name for name in GRAPHS if (folder / name).is_file()), None)
        if found is None:
            raise WrongModel(
                f"expected model.onnx or onnx/model.onnx in it, found {_listing(folder)}; name another in"
                ' celeriac.json, for example {"graph": "onnx/model_quantized.onnx"}'
            )
        return found
    named = ours["graph"]
    if not isinstance(named, str) or not named.endswith(".onnx") or ".." in Path(named).parts:
        raise WrongModel(
            f"expected graph to be the path of an .onnx file in the folder in celeriac.json, found {named!r};"
            ' for example {"graph": "onnx/model_quantized.onnx"}'
        )
    if not (folder / named).is_file():
        raise WrongModel(f"expected the file {named}, which celeriac.json names as graph, found none")
    return folder / named


def _cut(folder: Path, ours: Mapping[str, Any]) -> bool:
    """Whether wider vectors are cut: only to the length that all vectors have here."""
    for name, config in (("celeriac.json", ours), (SENTENCES, fields(folder, SENTENCES))):
        length = config.get("truncate_dim")
        if length not in (None, DIMENSIONS):
            raise WrongModel(f"expected truncate_dim of null or {DIMENSIONS} in {name}, found {length!r}")
        if length is not None:
            return True
    return False


def _refuse_other_vectors(folder: Path, modules: Modules) -> None:
    """Refuses a model whose vectors are compared by anything but their direction."""
    config = fields(folder, SENTENCES)
    kind = config.get("model_type") or "SentenceTransformer"
    if kind != "SentenceTransformer":
        raise WrongModel(f"expected model_type SentenceTransformer in {SENTENCES}, found {kind!r}")
    similarity = config.get("similarity_fn_name") or "cosine"
    # For vectors of length 1, dot product and Euclidean distance give the same order as the cosine.
    same = ("cosine", "dot", "euclidean") if modules.normalize else ("cosine",)
    if similarity not in same:
        raise WrongModel(
            f'expected similarity_fn_name "cosine" in {SENTENCES} (or Normalize in modules.json),'
            f" found {similarity!r}: vectors are brought to length 1"
        )


def _holds_weights(path: Path) -> bool:
    """Whether the file may hold a graph's weights. Exporters call it model.onnx.data or model.onnx_data."""
    return (
        path.is_file()
        and path.suffix not in {".onnx", ".json", ".md", ".txt", ".model"}
        and (not path.name.startswith("."))
    )


def _listing(folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir())
    return ", ".join(names[:10]) or "nothing"
