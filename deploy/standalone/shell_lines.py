"""Commands as they are printed to be copied: a terminal would break a long one inside a word."""

from __future__ import annotations

import re

# A terminal has 80 columns or more; the line begins with two spaces and may end in a backslash.
MOST_COLUMNS = 76
WORD = re.compile(r'(?:[^\s"]|"[^"]*")+')


def to_copy(command: str) -> str:
    """Returns the command in lines that a shell reads as one; a longer word has a line of its own."""
    lines: list[str] = []
    for word in WORD.findall(command):
        if lines and len(f"{lines[-1]} {word}") <= MOST_COLUMNS:
            lines[-1] += f" {word}"
        else:
            lines.append(word if not lines else f"  {word}")
    return " \\\n  ".join(lines)
