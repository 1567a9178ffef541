"""The command's contexts: systems by name, in ~/.config/celeriac/config.toml."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple


class Context(NamedTuple):
    target: str = ""
    # A path.
    ca: str = ""
    token: str = ""


class Contexts(NamedTuple):
    """`current` is the name of the one that is used when none is named."""

    current: str = ""
    contexts: Mapping[str, Context] = {}

    def named(self, name: str | None) -> Context:
        """Returns the context of this name, or the current one. Raises ValueError for an unknown name."""
        if name is None:
            return self.contexts.get(self.current, Context())
        if name not in self.contexts:
            known = ", ".join(self.contexts) or "none yet; `celeriac login` makes one"
            raise ValueError(f"there is no context {name!r} in {file()}; there are: {known}")
        return self.contexts[name]

    def with_context(self, name: str, context: Context) -> Contexts:
        """Returns them with one added or changed, which is the current one then."""
        return Contexts(name, {**self.contexts, name: context})


def file() -> Path:
    """Returns the path of the file, which need not exist."""
    folder = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(folder) / "celeriac/config.toml"


def read_contexts() -> Contexts:
    """Returns what the file has; none if there is no file. Raises ValueError if it can't be read."""
    path = file()
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return Contexts()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} can't be read: {error}") from None
    return _parsed(text, path)


def _parsed(text: str, path: Path) -> Contexts:
    # tomllib is in Python 3.11 and later; tomli is the same for 3.10.
    if sys.version_info >= (3, 11):  # noqa: UP036 # the client's oldest Python is 3.10
        import tomllib
    else:
        import tomli as tomllib
    try:
        read: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is not TOML: {error}") from None
    names = Context._fields
    try:
        contexts = {
            name: Context(**{key: str(value) for key, value in stated.items() if key in names})
            for name, stated in read.get("contexts", {}).items()
        }
    except AttributeError:
        raise ValueError(f"{path}: `contexts` is not a table of tables; see [contexts.local]") from None
    return Contexts(str(read.get("current", "")), contexts)


def write_contexts(contexts: Contexts) -> None:
    """Writes the file, which its owner alone can read, since it has tokens."""
    path = file()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # A JSON string is also a TOML string.
    lines = [f"current = {json.dumps(contexts.current)}"]
    for name, context in contexts.contexts.items():
        lines += ["", f"[contexts.{json.dumps(name)}]"]
        lines += [f"{key} = {json.dumps(value)}" for key, value in context._asdict().items() if value]
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as written:
        written.write("\n".join(lines) + "\n")
    beside.replace(path)
