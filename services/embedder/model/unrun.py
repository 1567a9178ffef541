"""What of a model is loaded before its graph: it can be shared by processes that are forked afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from tokenizers import Tokenizer, normalizers

from services.embedder.model.encoder import identity
from services.embedder.model.files import WrongModel
from services.embedder.model.folder import ModelFolder, read_folder
from services.embedder.model.texts import Reading

# Two texts of different lengths, so that the trial has padding: most of the short text's row is padding.
TRIAL = ("怎麼退貨？", "where can I see my bill of last month, and how can I pay it by card, please?")

# The name, size, time of change in nanoseconds and inode of each file.
Files: TypeAlias = frozenset[tuple[str, int, int, int]]


@dataclass(frozen=True)
class Unrun:
    """What of a model can be loaded before a fork, and is then shared by all processes.

    The tokenizer takes most of the time that a model takes to load, and 150 MB for the embedded one. It
    starts no threads as long as TOKENIZERS_PARALLELISM is false. Without it, each process loads its own.
    """

    folder: ModelFolder
    digest: str
    tokenizer: Tokenizer | None = None

    @classmethod
    def load(cls, folder: Path, with_tokenizer: bool = True) -> Unrun:
        """Loads it, unless it is kept already and the folder is as it was. Raises WrongModel."""
        files, kept = _files(folder), _kept.get(folder)
        if kept is not None and kept.files == files:
            return kept.unrun
        found = read_folder(folder)
        return cls(found, found.digest(), tokenizer_of(found) if with_tokenizer else None)

    @classmethod
    def keep(cls, folder: Path) -> None:
        """Loads it for this process and for all that are forked from it. Raises WrongModel."""
        # The files as they were before: what changes meanwhile makes that which is kept of no use.
        files = _files(folder)
        _kept[folder] = _Kept(files, cls.load(folder))

    @property
    def identity(self) -> str:
        return identity(self.folder.name, self.digest)


@dataclass(frozen=True)
class _Kept:
    files: Files
    unrun: Unrun


_kept: dict[Path, _Kept] = {}


def _files(folder: Path) -> Files:
    """Returns what shows whether a folder's files are still the same, without reading them."""
    found = ((path, path.stat()) for path in folder.rglob("*") if path.is_file())
    return frozenset((str(path), it.st_size, it.st_mtime_ns, it.st_ino) for path, it in found)


def tokenizer_of(found: ModelFolder) -> Tokenizer:
    """Returns the folder's tokenizer. Raises WrongModel."""
    try:
        tokenizer: Tokenizer = Tokenizer.from_file(str(found.tokenizer))
    except Exception as error:
        # The library raises no narrower type.
        raise WrongModel(f"expected a tokenizer in tokenizer.json, found {str(error)[:300]}") from None
    reading = found.reading
    tokenizer.no_padding()
    tokenizer.enable_truncation(reading.max_tokens, direction="left" if reading.cut_at_begin else "right")
    if reading.lower_case:
        own = [tokenizer.normalizer] if tokenizer.normalizer else []
        tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), *own])
    _refuse_other_ends(tokenizer, reading)
    return tokenizer


def _refuse_other_ends(tokenizer: Tokenizer, reading: Reading) -> None:
    """Refuses a tokenizer that omits the begin or end token that the folder requires.

    Some models use the last token as the vector of the text, which is wrong without the end token.
    """
    tokens = tokenizer.encode(TRIAL[0]).tokens
    for place, wanted, found in (("begin", reading.begin, tokens[:1]), ("end", reading.end, tokens[-1:])):
        if wanted is not None and found != [wanted]:
            raise WrongModel(
                f"expected tokenizer.json to {place} each text with {wanted!r}, as tokenizer_config.json"
                f" says, found {found}"
            )
