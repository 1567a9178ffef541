"""Reads the JSON files of a model's folder, and defines the error for a folder that can't be used."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from services.kernel.logged_errors import Loggable


class WrongModel(Loggable):
    """The model's folder can't be used. The text says what was expected and what was found."""


def fields(folder: Path, name: str) -> Mapping[str, Any]:
    """Returns the JSON object in the file; empty if there is no such file. Raises WrongModel."""
    if not (folder / name).is_file():
        return {}
    found = parsed(folder, name)
    if not isinstance(found, dict):
        raise WrongModel(f"expected a JSON object in {name}, found {type(found).__name__}")
    return found


def parsed(folder: Path, name: str) -> Any:  # any JSON value
    """Returns the JSON value in the file. Raises WrongModel if it is not JSON."""
    try:
        return orjson.loads((folder / name).read_bytes())
    except orjson.JSONDecodeError as error:
        raise WrongModel(f"expected JSON in {name}, found none: {error}") from None


def flag(config: Mapping[str, Any], key: str, name: str, default: bool) -> bool:
    """Returns a boolean field, or `default` if it is missing or null. Raises WrongModel."""
    found = config.get(key)
    if found is None:
        return default
    if not isinstance(found, bool):
        raise WrongModel(f"expected {key} to be true or false in {name}, found {found!r}")
    return found


def part(config: Mapping[str, Any], key: str, name: str) -> Mapping[str, Any]:
    """Returns an object within an object; empty if it is missing or null. Raises WrongModel."""
    found = config.get(key)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise WrongModel(f"expected {key} to be a JSON object in {name}, found {found!r}")
    return found
