"""Errors of our own code are not caught: a slip of ours is loud, and is never taken for bad data.

Data are checked where they come in, and what a parser of theirs raises is caught there, by its own name.
`TypeError`, `LookupError`, `AttributeError` and `Exception` are what our own mistakes raise, too.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "services").rglob("*.py"))
OURS = frozenset(
    {"TypeError", "LookupError", "KeyError", "IndexError", "AttributeError", "Exception", "BaseException"}
)
# How often a module catches them all the same, and why it may.
ALLOWED = {
    # The outermost place of a call: logged whole as an incident, and told as INTERNAL.
    "services/kernel/grpc/errors.py": 1,
    # The call has had its effect, and its caller must hear of that; logged as an error.
    "services/kernel/grpc/audit.py": 1,
    # A check that fails in any way is the answer "not ready".
    "services/kernel/probes.py": 1,
    # Whatever fails while a line of the log is written can't be logged.
    "services/kernel/logging.py": 1,
    # Python's % with a template and arguments of a library's.
    "services/kernel/logged_libraries.py": 1,
    # The schedule that our own code fails on is left out, logged as an error and counted; the others go on.
    # Once for what is awaited, once for what is computed.
    "services/scheduler/dispatch/left_out.py": 2,
    # The engine's errors are of many kinds; the text that it fails on is told, the others are embedded.
    "services/embedder/bulk/chunk.py": 1,
    # Likewise; what is told is logged as an error, and is the answer of the caller whose text it was.
    "services/embedder/online.py": 1,
    # Whatever a driver raises is why a component counts as unhealthy, and is shown with it.
    "services/monitor/system/components.py": 1,
}


def names(node: ast.AST | None) -> set[str]:
    """The names in an except clause, or a tuple of exceptions; "BaseException" for a bare `except:`."""
    if node is None:
        return {"BaseException"}
    return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}


def catches(source: str) -> Iterator[int]:
    """The lines on which one of them is caught, and not raised again, under whatever name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ExceptHandler):
            raises = isinstance(node.body[-1], ast.Raise)
            if names(node.type) & OURS and not (
                raises and names(node.type) <= {"Exception", "BaseException"}
            ):
                yield node.lineno
        elif isinstance(node, ast.Call) and names(node.func) | attributes(node.func) >= {"suppress"}:
            if any(names(argument) & OURS for argument in node.args):
                yield node.lineno
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple) and names(node.value) & OURS:
            yield node.lineno


def attributes(node: ast.AST) -> set[str]:
    return {inner.attr for inner in ast.walk(node) if isinstance(inner, ast.Attribute)}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_our_own_mistakes_raise_is_not_caught(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    lines = list(catches(path.read_text()))
    assert len(lines) == ALLOWED.get(name, 0), f"{name} catches errors of our own on the lines {lines}"


def test_the_list_names_modules_that_there_are() -> None:
    assert ALLOWED.keys() <= {str(path.relative_to(ROOT)) for path in MODULES}


def test_the_check_finds_each_form() -> None:
    source = """
try:
    work()
except (ValueError, KeyError):
    pass
except Exception:
    tidy()
    raise
except Exception as error:
    log.error(error)
except:
    pass
except LookupError as error:
    raise Invalid from error
except ValueError:
    pass
with contextlib.suppress(TypeError):
    work()
with suppress(AttributeError, OSError):
    work()
with suppress(OSError):
    work()
UNREADABLE = (ValueError, TypeError)
READABLE = (ValueError, OSError)
"""
    assert sorted(catches(source)) == [4, 9, 11, 13, 17, 19, 23]
