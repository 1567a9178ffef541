"""What the commands of our services import: modules to import in a nursery before it forks.

Only time is lost if a module is missing here, as the command then imports it itself. A command's own module
is imported for what it imports, and is then run as `__main__`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

# What Celery imports only when its worker starts.
OF_CELERY = (
    "celery.bin.worker",
    "celery.apps.worker",
    "celery.concurrency.prefork",
    "celery.backends.redis",
    "kombu.transport.redis",
)
# Called once all is imported.
KEEP_MODEL = "services.embedder.commands:keep_model"
# By the module that `python -m` is given.
OF_SERVICES: Mapping[str, Sequence[str]] = {
    "services.scheduler": ["services.scheduler.__main__"],
    "services.monitor": [
        "services.monitor.__main__",
        "services.monitor.serving.serve",
        "services.monitor.relaying",
    ],
    "services.door": ["services.door.__main__", "services.door.serving"],
    "services.audit": ["services.audit.__main__"],
    "services.embedder": [
        "services.embedder.__main__",
        "services.embedder.commands",
        "services.embedder.serving",
        *OF_CELERY,
    ],
}
