"""The pages and what they load: read once, at the start, with their compressed forms beside them.

Nothing is looked up on disk for a request, so no path of a request can lead out of the folder.
"""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response

from services.door.paths import ASSETS

INDEX = "/index.html"
# The encodings in which a file may be there, the preferred one first.
ENCODINGS = {"br": ".br", "gzip": ".gz"}
KEPT_FOR_EVER = "public, max-age=31536000, immutable"
ASKED_EACH_TIME = "no-cache"
# What a page may do: load and call this origin only, run no script but its files, and stand in no frame.
POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " object-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
SECURITY = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


@dataclass(frozen=True)
class File:
    """A file in its encodings ("" for none), each with its bytes and ETag."""

    kind: str
    keep: str
    forms: Mapping[str, tuple[bytes, str]]


class Files:
    """The files of `services/door/static`, by the paths that they are asked for."""

    def __init__(self) -> None:
        self._files = dict(_all())

    def __contains__(self, path: str) -> bool:
        return path in self._files

    def answer(self, request: Request, path: str) -> Response:
        """Answers GET and HEAD with the file of that path, which must be there."""
        file = self._files[path]
        encoding = _encoding(request.headers.get("accept-encoding", ""), file)
        body, etag = file.forms[encoding]
        headers = {**SECURITY, "etag": etag, "cache-control": file.keep, "vary": "accept-encoding"}
        if encoding:
            headers["content-encoding"] = encoding
        if _known(request.headers.get("if-none-match", ""), etag):
            return Response(status_code=304, headers=headers)
        headers["content-length"] = str(len(body))
        return Response(b"" if request.method == "HEAD" else body, headers=headers, media_type=file.kind)


def _all() -> list[tuple[str, File]]:
    root, found = files("services.door") / "static", []
    for folder, prefix in ((root, "/"), (root / "assets", ASSETS)):
        there = {entry.name: entry for entry in folder.iterdir() if entry.is_file()}
        for name, entry in there.items():
            if name.endswith(tuple(ENCODINGS.values())):
                continue
            forms = {"": entry.read_bytes()}
            forms |= {
                encoding: there[name + suffix].read_bytes()
                for encoding, suffix in ENCODINGS.items()
                if name + suffix in there
            }
            found.append((prefix + name, _file(name, forms, for_ever=prefix == ASSETS)))
    return found


def _file(name: str, forms: Mapping[str, bytes], *, for_ever: bool) -> File:
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    text = kind.startswith("text/") or kind.endswith(("javascript", "+xml"))
    return File(
        f"{kind}; charset=utf-8" if text else kind,
        KEPT_FOR_EVER if for_ever else ASKED_EACH_TIME,
        {encoding: (body, f'"{hashlib.sha256(body).hexdigest()[:32]}"') for encoding, body in forms.items()},
    )


def _encoding(accepted: str, file: File) -> str:
    """Returns the first of our encodings that the caller takes: none with q=0 (RFC 9110, section 12.5.3)."""
    taken = {}
    for one in accepted.lower().split(","):
        name, _, weight = one.partition(";")
        taken[name.strip()] = weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return next((name for name in ENCODINGS if name in file.forms and taken.get(name)), "")


def _known(stated: str, etag: str) -> bool:
    tags = [tag.strip().removeprefix("W/") for tag in stated.split(",")]
    return etag in tags or "*" in tags
