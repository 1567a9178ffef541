"""python -m services.embedder migrate"""

from __future__ import annotations

from services.embedder.settings import EmbedderSettings
from services.kernel import process

if __name__ == "__main__":
    process.main("embedder", EmbedderSettings, {})
