"""Settings of the embedder."""

from __future__ import annotations

from services.kernel.settings import KernelSettings


class EmbedderSettings(KernelSettings):
    """The kernel's are all that it needs."""
