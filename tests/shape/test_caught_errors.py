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
    # The same for a request to the door.
    "services/door/answers.py": 1,
    # The call has had its effect, and its caller must hear of that; logged as an error.
    "services/kernel/grpc/audit.py": 1,
    # The listener was cancelled, and has no more readers.
    "services/kernel/database.py": 1,
    # A check of readiness that fails in any way is an answer, and is shown.
    "services/kernel/probes.py": 1,
    # The tokenizers' library raises Exception itself, for a file that is no tokenizer.
    "services/embedder/model/unrun.py": 1,
    # Whatever fails while a line of the log is written can't be logged.
    "services/kernel/logging.py": 1,
    # Python's % with a template and arguments of a library's.
    "services/kernel/logged_libraries.py": 1,
    # The schedule that our own code fails on is left out, logged as an error and counted; the others go on.
    # Once for what is awaited, once for what is computed.
    "services/scheduler/dispatch/left_out.py": 2,
    # Lanes whose errors are raised once all lanes have ended.
    "services/scheduler/dispatch/dispatcher.py": 1,
    # Batches on their way: each logs its own failure, and the process ends.
    "services/scheduler/dispatch/delivery.py": 1,
    # The engine's errors are of many kinds; the text that it fails on is told, the others are embedded.
    "services/embedder/bulk/chunk.py": 1,
    # Likewise; what is told is logged as an error, and is the answer of the caller whose text it was.
    "services/embedder/online.py": 1,
    # What a call in a thread raises is raised again where the call is awaited.
    "services/monitor/workers/daemon_threads.py": 1,
    # kombu raises these for a message that it would not have written; the connection is made anew.
    "services/monitor/workers/hello.py": 1,
    # Whatever a driver raises is why a component counts as unhealthy, and is shown with it.
    "services/monitor/system/components.py": 1,
}


def names(node: ast.AST | None) -> set[str]:
    """The names in an except clause, or a tuple of exceptions; "BaseException" for a bare `except:`."""
    if node is None:
        return {"BaseException"}
    found = {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
    return found | {inner.attr for inner in ast.walk(node) if isinstance(inner, ast.Attribute)}


def catches(source: str) -> Iterator[int]:
    """The lines on which one of them is caught, and not raised again, under whatever name."""
    for node in ast.walk(ast.parse(source)):
        line = getattr(node, "lineno", 0)
        match node:
            case ast.ExceptHandler():
                caught = bool(names(node.type) & OURS) and not raises_again(node)
            case ast.Call():
                caught = any(names(argument) & OURS for argument in caught_by(node)) or gathers(node)
            case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value):
                # A name for them, by which they might be caught.
                listed = isinstance(value, ast.Tuple | ast.List | ast.Name | ast.Attribute)
                caught = listed and bool(names(value) & OURS)
            case _:
                caught = False
        if caught:
            yield line


def raises_again(handler: ast.ExceptHandler) -> bool:
    """Whether the handler only does something more on the way, and raises the same exception in the end."""
    last = handler.body[-1]
    leaves = any(isinstance(inner, ast.Return | ast.Continue | ast.Break) for inner in ast.walk(handler))
    return isinstance(last, ast.Raise) and last.exc is None and not leaves


def caught_by(call: ast.Call) -> list[ast.expr]:
    """The arguments of a call that name exceptions to be caught: `suppress(…)`, `Loop(outlives=…)`."""
    given = [keyword.value for keyword in call.keywords if keyword.arg == "outlives"]
    return [*given, *(call.args if "suppress" in names(call.func) else [])]


def gathers(call: ast.Call) -> bool:
    """Whether exceptions become values: `gather(return_exceptions=True)`."""
    return any(
        keyword.arg == "return_exceptions" and isinstance(keyword.value, ast.Constant) and keyword.value.value
        for keyword in call.keywords
    )


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
FAULTS: tuple[type[Exception], ...] = (KeyError,)
FAULT = Exception
try:
    work()
except builtins.Exception:
    pass
try:
    work()
except Exception as error:
    raise Invalid from error
try:
    work()
except Exception:
    if usual:
        return
    raise
Loop("sweep", sweep, every=1.0, outlives=(LookupError, OSError))
Loop("sweep", sweep, every=1.0, outlives=(OSError,))
await asyncio.gather(work(), return_exceptions=True)
"""
    assert sorted(catches(source)) == [4, 9, 11, 13, 17, 19, 23, 25, 26, 29, 33, 37, 41, 43]
