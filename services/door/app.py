"""Which path is answered by what."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp

from services.door.answers import ErrorsTold
from services.door.files import INDEX, Files
from services.door.observe import Metrics, Observed
from services.door.paths import ASSETS, ENTER, FILES, READY, is_page
from services.kernel.errors import NotFound

ENTER_PAGE = "/enter.html"


class Door:
    """What the door answers. `serves` says whether the gateway may send requests."""

    def __init__(self, metrics: Metrics, more: Sequence[BaseRoute] = ()) -> None:
        self.serves = False
        self._files = Files()
        self.application: ASGIApp = Observed(ErrorsTold(Router(self._routes(more))), metrics)

    def _routes(self, more: Sequence[BaseRoute]) -> list[BaseRoute]:
        async def ready(_: Request) -> Response:
            told = ("serving\n", 200) if self.serves else ("not serving\n", 503)
            return PlainTextResponse(*told)

        async def file(request: Request) -> Response:
            return self._file(request, request.url.path)

        async def enter(request: Request) -> Response:
            return self._file(request, ENTER_PAGE)

        async def page(request: Request) -> Response:
            if is_page(request.url.path):
                return self._file(request, INDEX)
            raise NotFound("page", request.url.path[:200])

        return [
            Route(READY, ready),
            *more,
            Route(ENTER, enter, methods=["GET"]),
            *(Route(path, file) for path in FILES),
            Route(ASSETS + "{name}", file),
            Route("/{rest:path}", page),
        ]

    def _file(self, request: Request, path: str) -> Response:
        if path not in self._files:
            raise NotFound("page", request.url.path[:200])
        return self._files.answer(request, path)
