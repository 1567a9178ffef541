"""Reads which modules sentence-transformers runs after the transformer, and refuses those not supported here.

modules.json          the modules in the order in which they run
1_Pooling/config.json how a text's vector is computed from the vectors of its tokens, in one of two forms:
    the older  {"word_embedding_dimension": 1024, "pooling_mode_cls_token": true, …}
    the newer  {"embedding_dimension": 1024, "pooling_mode": "cls", "include_prompt": true}
    With several modes, sentence-transformers concatenates their vectors, which is not supported here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.embedder.model.encoder import Pooling
from services.embedder.model.files import WrongModel, fields, flag, parsed

LIBRARY = "sentence_transformers."
# Every vector is normalised, with or without Normalize.
PIPELINES = (
    ["Transformer"],
    ["Transformer", "Normalize"],
    ["Transformer", "Pooling"],
    ["Transformer", "Pooling", "Normalize"],
)
NUMBERED = re.compile(r"([1-9][0-9]*)_(\w+)")
# The supported names of the newer form; sentence-transformers has more.
POOLINGS = {"cls": Pooling.CLS, "lasttoken": Pooling.LAST_TOKEN, "mean": Pooling.MEAN}
OLD_MODES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}


@dataclass(frozen=True)
class Modules:
    """The modules after the transformer. `pooling` is the folder of the pooling module, None without one."""

    pooling: str | None
    normalize: bool


def read_modules(folder: Path) -> Modules:
    """Reads the modules. Raises WrongModel for a module that is not supported: vectors would be wrong."""
    if (folder / "modules.json").is_file():
        source, modules = "modules.json", _named(folder)
    else:
        source, modules = "the numbered folders", _numbered(folder)
    kinds = [kind for kind, _ in modules]
    if modules and kinds not in PIPELINES:
        raise WrongModel(
            f"expected {source} to have Transformer, Pooling and Normalize of sentence-transformers in this"
            f" order (Pooling and Normalize may be left out), found {', '.join(kinds)}"
        )
    place = next((path for kind, path in modules if kind == "Pooling"), None)
    return Modules(place, "Normalize" in kinds)


def read_pooling(folder: Path, modules: Modules, ours: Mapping[str, Any]) -> Pooling | None:
    """Returns the pooling; None if neither celeriac.json nor a module states it. Raises WrongModel."""
    if "pooling" in ours:
        known = [pooling.value for pooling in Pooling if pooling is not Pooling.UNKNOWN]
        found = ours["pooling"]
        if found not in known:
            raise WrongModel(
                f"expected pooling to be one of {known} in celeriac.json, found {found!r};"
                ' for example {"pooling": "mean"}'
            )
        return Pooling(found)
    if modules.pooling is None:
        return None
    place = f"{modules.pooling}/config.json"
    modes = _modes(fields(folder, place), place)
    if len(modes) == 1 and modes[0] in POOLINGS:
        return POOLINGS[modes[0]]
    found = " and ".join(modes) or ("none" if (folder / place).is_file() else "no such file")
    raise WrongModel(
        f"expected one pooling mode of {', '.join(POOLINGS)} in {place}, found {found};"
        ' for example {"pooling_mode": "mean"}'
    )


def includes_prompt(folder: Path, modules: Modules) -> bool:
    """Whether the tokens of a prefix are pooled with the text's own."""
    place = f"{modules.pooling or '1_Pooling'}/config.json"
    return flag(fields(folder, place), "include_prompt", place, True)


def _modes(config: Mapping[str, Any], place: str) -> Sequence[str]:
    """Returns the enabled modes. If both forms are present, the newer counts, as in sentence-transformers."""
    if "pooling_mode" in config:
        said = config["pooling_mode"]
        modes = said if isinstance(said, list) else [said]
        if not all(isinstance(mode, str) for mode in modes):
            raise WrongModel(
                f"expected pooling_mode to be a name or a list of names in {place}, found {said!r};"
                ' for example {"pooling_mode": "mean"}'
            )
        return modes
    old = [key for key in config if key.startswith("pooling_mode_")]
    return [OLD_MODES.get(key, key) for key in old if flag(config, key, place, False)]


def _named(folder: Path) -> list[tuple[str, str]]:
    """Returns (type, folder) of each module in modules.json.

    The type is a short name for the modules of sentence-transformers, and the full path for all others.
    """
    modules = parsed(folder, "modules.json")
    if (
        not isinstance(modules, list)
        or not all(isinstance(module, dict) for module in modules)
        or not modules
    ):
        raise WrongModel("expected a list of modules in modules.json, found something else")
    found = []
    for number, module in enumerate(modules):
        said = str(module.get("type"))
        kind = said.rpartition(".")[2] if said.startswith(LIBRARY) else said
        found.append((kind, str(module.get("path", f"{number}_{kind}"))))
    return found


def _numbered(folder: Path) -> list[tuple[str, str]]:
    """Returns (type, folder) of each module from the names of the folders, if modules.json is missing."""
    matches = [NUMBERED.fullmatch(path.name) for path in folder.iterdir() if path.is_dir()]
    found = sorted((int(match[1]), match[2], match[0]) for match in matches if match)
    return [("Transformer", ""), *((kind, path) for _, kind, path in found)] if found else []
