"""The JSON files of a model's folder, and the error that refuses a folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from services.kernel.logged_errors import Loggable


class WrongModel(Loggable):
    """What was expected of the model's folder, and what was found."""


def fields(folder: Path, name: str) -> Mapping[str, Any]:
    """The fields of the file's object; none if there is no such file. Raises WrongModel."""
    if not (folder / name).is_file():
        return {}
    found = parsed(folder, name)
    if not isinstance(found, dict):
        raise WrongModel(f"expected a JSON object in {name}, found {type(found).__name__}")
    return found


def parsed(folder: Path, name: str) -> Any:  # whatever JSON the file has
    """Raises WrongModel."""
    try:
        return orjson.loads((folder / name).read_bytes())
    except orjson.JSONDecodeError as error:
        raise WrongModel(f"expected JSON in {name}, found none: {error}") from None


def flag(config: Mapping[str, Any], key: str, name: str, default: bool) -> bool:
    """A field that is true or false; null counts as left out. Raises WrongModel."""
    found = config.get(key)
    if found is None:
        return default
    if not isinstance(found, bool):
        raise WrongModel(f"expected {key} to be true or false in {name}, found {found!r}")
    return found


def part(config: Mapping[str, Any], key: str, name: str) -> Mapping[str, Any]:
    """An object within an object; null counts as left out. Raises WrongModel."""
    found = config.get(key)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise WrongModel(f"expected {key} to be a JSON object in {name}, found {found!r}")
    return found
