"""Settings of the embedder."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from services.kernel.settings import KernelSettings


class EmbedderSettings(KernelSettings):
    """The kernel's, and the model."""

    model: Path | None = Field(
        None,
        validation_alias="CELERIAC_EMBEDDER_MODEL",
        examples=["/srv/models/multilingual-e5-large"],
        description="Folder of an ONNX graph and its tokenizer.json; unset: the embedded default.",
    )
