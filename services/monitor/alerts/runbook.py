"""Where it is written what to do about an alert."""

from __future__ import annotations

# In the project's own folder; each standing rule has a chapter, under its id.
RUNBOOK = "docs/runbook.md"


def chapter(rule_id: str) -> str:
    """Returns the place of a standing rule's chapter."""
    return f"{RUNBOOK}#{rule_id}"


def link(url: str, runbook: str) -> str:
    """Returns the url of a rule as people can open it. `runbook`: where they read the runbook."""
    return runbook + url.removeprefix(RUNBOOK) if url.startswith(f"{RUNBOOK}#") else url
