"""Searches logs for secrets: those that tests made up, those in key files, tokens and private keys by shape.

A test that needs a secret takes `canary()`, which is found by its form in whatever process, also as base64;
what is in key files, and what can't have that form, is remembered by `remember` and `remember_files`.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

CANARY = "celeriac-canary-"
# Less than this is found by chance, too.
LEAST_CHARACTERS = 12
SHOWN_CHARACTERS = 300


def _base64_of_canary() -> str:
    """Its base64 at each of the three places where it may begin, without what depends on its neighbours."""
    forms = []
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + CANARY.encode()).decode()
        forms.append(encoded[4 if before else 0 : len(CANARY + " " * before) * 8 // 6])
    return "|".join(map(re.escape, forms))


# What each is, bytes without which it is not looked for, and its form.
SHAPES = (
    ("a secret of a test", CANARY.encode(), re.compile(rb"celeriac-canary-[0-9a-f]*")),
    ("a secret of a test, in base64", b"", re.compile(_base64_of_canary().encode())),
    # The first part alone tells nothing secret; the second of any of ours begins like this.
    ("a token", b"eyJ", re.compile(rb"eyJ[\w-]{8,}\.eyJ[\w.-]*|eyJpc3Mi[\w.-]{8,}")),
    ("a private key", b"PRIVATE KEY", re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----[^\"]{0,4000}")),
    ("a password in an address", b"://", re.compile(rb"(?<=://)[^\s:@/\"']*:(?!\[|\*)[^\s\"'@/]+(?=@)")),
)


def canary(what: str = "") -> str:
    """A new secret that is found wherever it is written."""
    return f"{CANARY}{uuid.uuid4().hex}" + (f"-{what}" if what else "")


_values: dict[bytes, str] = {}
_files: set[Path] = set()


def remember(value: str, what: str) -> None:
    """A secret that is not of a canary's form. One that is too short to be told from chance is let be."""
    if len(value) >= LEAST_CHARACTERS and CANARY not in value:
        _values[value.encode()] = what


def remember_files(*files: Path) -> None:
    """Key files: PEM or JSON, read when logs are searched, as a test may change them."""
    _files.update(files)


def remember_settings(environment: Mapping[str, str]) -> None:
    """The secrets that a process is told by its settings."""
    for name in (
        "CELERIAC_TLS_KEY",
        "CELERIAC_AUDIT_KEY",
        "CELERIAC_CONFIG_KEYS",
        "CELERIAC_MONITOR_ARGUMENT_KEYS",
    ):
        if path := environment.get(name):
            remember_files(Path(path))
    remember(environment.get("REDIS_PASSWORD", ""), "REDIS_PASSWORD")
    if url := environment.get("DATABASE_URL"):
        remember(str(make_url(url).password or ""), "the password in DATABASE_URL")


def _read_files() -> None:
    for path in _files:
        if path.is_file():
            for value in _secrets_in(path.read_text(errors="replace")):
                _values[value.encode()] = f"what is in {path.name}"


def _secrets_in(text: str) -> Iterator[str]:
    if not text.lstrip().startswith("{"):
        # The lines of a PEM; the first of each kind of key is the same in all.
        lines = [line for line in text.splitlines() if line and not line.startswith("-----")]
        yield from (line for line in lines[1:] or lines if len(line) >= LEAST_CHARACTERS)
        return
    try:
        content = json.loads(text)
    except ValueError:
        return  # A test has damaged it.
    yield from (key["key"] for key in content.get("keys", []) if "key" in key)
    if "secret" in content:
        yield content["secret"]


@dataclass(frozen=True)
class Hit:
    """A secret in a log. `line` has it masked."""

    log: Path
    number: int
    what: str
    line: str

    def __str__(self) -> str:
        return f"{self.log.name}, line {self.number}, has {self.what}: {self.line}"


def _no_faults(_path: Path, _new: bytes) -> Sequence[str]:
    return ()


class Search:
    """Looks through what was written into a folder's logs since it looked last.

    `faults_in` gets each log with its new lines, and tells what else than a secret is wrong in them.
    """

    def __init__(self, folder: Path, faults_in: Callable[[Path, bytes], Sequence[str]] = _no_faults) -> None:
        self.folder = folder
        self._followed: set[Path] = set()
        self._faults_in = faults_in
        self._faults: list[str] = []
        # Folders of other versions, whose lines may have another form.
        self._others: set[Path] = set()
        # Of each file: up to which byte it was looked through, and how many lines that were.
        self._seen: dict[Path, tuple[int, int]] = {}
        self._pending: list[Hit] = []

    def follow(self, folder: Path, *, other_version: bool = False) -> None:
        self._followed.add(folder)
        if other_version:
            self._others.add(folder)

    def take_in(self, folder: Path) -> None:
        """What is in the folder so far is looked through and kept; it may then be removed."""
        _read_files()
        self._pending += self._in_folder(folder, whole=True)
        copy = self.folder / f"{folder.parent.name}-{uuid.uuid4().hex[:6]}"
        if folder.is_dir():
            shutil.copytree(folder, copy)
        self._seen |= {path: (path.stat().st_size, 0) for path in copy.rglob("*") if path.is_file()}

    def hits(self, *, whole: bool = False) -> list[Hit]:
        """`whole`: also a last line that has no end yet."""
        _read_files()
        found, self._pending = self._pending, []
        for folder in (self.folder, *self._followed):
            found += self._in_folder(folder, whole)
        return found

    def refuse(self, during: str, *, whole: bool = False) -> None:
        """Fails where there are hits, or other faults, naming log, line and what was running."""
        found = self.hits(whole=whole)
        if found:
            shown = "\n".join(str(hit)[:SHOWN_CHARACTERS] for hit in found[:20])
            pytest.fail(
                f"{len(found)} secrets in the logs that were written during {during}; the logs are in "
                f"{self.folder}\n{shown}",
                pytrace=False,
            )
        faults, self._faults = self._faults, []
        if faults:
            shown = "\n".join(faults[:20])
            pytest.fail(
                f"{len(faults)} lines written during {during} are not as docs/logs.md says; the logs are in "
                f"{self.folder}\n{shown}",
                pytrace=False,
            )

    def _in_folder(self, folder: Path, whole: bool) -> list[Hit]:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return [hit for path in files for hit in self._in_file(path, whole)]

    def _in_file(self, path: Path, whole: bool) -> Iterator[Hit]:
        start, lines = self._seen.get(path, (0, 0))
        if path.stat().st_size < start:
            start = lines = 0  # Another file took its place.
        with path.open("rb") as log:
            log.seek(start)
            new = log.read()
        if not whole:
            new = new[: new.rfind(b"\n") + 1]
        self._seen[path] = (start + len(new), lines + new.count(b"\n"))
        if path.parent not in self._others:
            self._faults += self._faults_in(path, new)
        places = sorted(_places(new))
        for place in places:
            begin, end, what = place
            yield Hit(path, lines + new.count(b"\n", 0, begin) + 1, what, _masked(new, begin, end))


def _places(text: bytes) -> Iterator[tuple[int, int, str]]:
    for what, hint, shape in SHAPES:
        if hint in text:
            yield from ((found.start(), found.end(), what) for found in shape.finditer(text))
    for value, what in _values.items():
        begin = text.find(value)
        while begin >= 0:
            yield begin, begin + len(value), what
            begin = text.find(value, begin + 1)


def _masked(text: bytes, begin: int, end: int) -> str:
    """The surroundings of a hit in its line, with all that is secret in it replaced."""
    first, last = text.rfind(b"\n", 0, begin) + 1, text.find(b"\n", end)
    line = (
        text[max(first, begin - 100) : begin]
        + b"[...]"
        + text[end : min(last if last >= 0 else len(text), end + 60)]
    )
    for value in _values:
        line = line.replace(value, b"[...]")
    for _, _, shape in SHAPES:
        line = shape.sub(b"[...]", line)
    return line.decode("utf-8", "replace")
