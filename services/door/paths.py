"""The paths that the gateway gives to the door. It gives it no others, and of pages only GET and HEAD."""

from __future__ import annotations

# Pages of the dashboard; each is one page for the server, whatever follows its name.
PAGES = ("schedules", "tasks", "queues", "workers", "questions", "audit", "system")
# Below it: sign-in, and what concerns who is signed in.
SESSION = "/session"
# Where a one-time link leads.
ENTER = "/session/enter"
# What pages load: each name has a hash of its content, so that it may be kept for ever.
ASSETS = "/assets/"
# Other files of the root.
FILES = ("/favicon.svg", "/robots.txt")
# The WebSocket.
LIVE = "/celery-admin/monitoring/ws"
# Asked by the gateway alone, about the door itself.
READY = "/readyz"


def cookie_name(instance: str) -> str:
    """Returns the name of the cookie of a sign-in. Browsers take `__Host-` for one host alone, by TLS."""
    return f"__Host-celeriac-{instance}"


def is_page(path: str) -> bool:
    """Whether the path is one of a page, which is answered with the index."""
    return path == "/" or path.split("/")[1] in PAGES
