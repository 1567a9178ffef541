"""Reads and checks a model's folder, with the files that ONNX exports and sentence-transformers write.

model.onnx or onnx/model.onnx     the graph, perhaps with its weights in files beside it
tokenizer.json                    the tokenizer
modules.json, 1_Pooling           the pooling of the tokens' vectors (pooling.py)
config_sentence_transformers.json prompts (texts.py), and how vectors are compared
celeriac.json                     our own: name, pooling, max_tokens, prefixes; it overrides the others

Nothing that determines vectors is guessed: a folder that asks for anything this code doesn't compute is
refused, with the file and the field that ask for it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import orjson

from services.embedder.model.encoder import DIMENSIONS, InputType, Pooling
from services.embedder.model.files import WrongModel, fields
from services.embedder.model.pooling import Modules, includes_prompt, read_modules, read_pooling
from services.embedder.model.texts import SENTENCES, Reading, read_prefixes, read_reading

GRAPHS = ("model.onnx", "onnx/model.onnx")


@dataclass(frozen=True)
class ModelFolder:
    """The contents of a folder. `pooling` is None if no file states it."""

    graph: Path
    tokenizer: Path
    name: str
    pooling: Pooling | None
    reading: Reading
    prefixes: dict[InputType, str]

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
    graphs = [folder / name for name in GRAPHS if (folder / name).is_file()]
    if not graphs:
        raise WrongModel(f"expected model.onnx or onnx/model.onnx in it, found {_listing(folder)}")
    tokenizer = folder / "tokenizer.json"
    if not tokenizer.is_file():
        raise WrongModel(f"expected tokenizer.json in it, found {_listing(folder)}")
    ours = fields(folder, "celeriac.json")
    name = ours.get("name") or folder.resolve().name
    if not isinstance(name, str) or "@" in name or not 0 < len(name) <= 100:
        raise WrongModel(f"expected a name of 1 to 100 characters without @ in celeriac.json, found {name!r}")
    modules = read_modules(folder)
    found = ModelFolder(
        graph=graphs[0],
        tokenizer=tokenizer,
        name=name,
        pooling=read_pooling(folder, modules, ours),
        reading=read_reading(folder, ours),
        prefixes=read_prefixes(folder, ours, name),
    )
    if any(found.prefixes.values()) and not includes_prompt(folder, modules):
        raise WrongModel(
            f"expected include_prompt true in {modules.pooling or '1_Pooling'}/config.json, found false:"
            " the tokens of a prefix are pooled with the text's own"
        )
    _refuse_other_vectors(folder, modules)
    return found


def _refuse_other_vectors(folder: Path, modules: Modules) -> None:
    """Refuses a model whose vectors are to be cut, or compared by anything but their direction."""
    config = fields(folder, SENTENCES)
    kind = config.get("model_type") or "SentenceTransformer"
    if kind != "SentenceTransformer":
        raise WrongModel(f"expected model_type SentenceTransformer in {SENTENCES}, found {kind!r}")
    length = config.get("truncate_dim")
    if length not in (None, DIMENSIONS):
        raise WrongModel(f"expected truncate_dim of null or {DIMENSIONS} in {SENTENCES}, found {length!r}")
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
