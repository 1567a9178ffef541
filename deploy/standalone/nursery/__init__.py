"""Processes of our own commands, forked from one that has imported what they import.

A process of ours needs a second of a processor for its imports, and the one-machine system starts eight that
import much the same. A nursery imports the modules once, and forks for each start; the new process then runs
`python -m module …` as the interpreter would, from its first line. Tests start their services so, too.

__main__.py  the nursery itself: what runs in the process that imports and forks
client.py    how another process asks it for a start
imports.py   what each command imports

docs/decisions/standalone-nursery.md says what is shared, and what happens when a nursery ends.
"""
