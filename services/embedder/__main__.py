"""python -m services.embedder serve | work | prepare | check FOLDER | migrate"""

from __future__ import annotations

from collections.abc import Awaitable
from pathlib import Path

from services.embedder.settings import EmbedderSettings, ModelSettings
from services.kernel import process

# Each command imports what it needs, since the libraries of one command take seconds to load in another.


def serve(settings: EmbedderSettings) -> Awaitable[None]:
    from services.embedder.commands import serve_model

    return serve_model(settings)


def work(settings: EmbedderSettings) -> None:
    from services.embedder.commands import work_with_model

    work_with_model(settings)


def prepare() -> None:
    from services.embedder.model.default_model.prepare import prepare

    prepare(ModelSettings().model)


def check(folder: Path) -> None:
    from services.embedder.checking import check

    check(folder)


if __name__ == "__main__":
    process.main(
        "embedder", EmbedderSettings, {"serve": serve, "work": work}, {"prepare": prepare}, {"check": check}
    )
