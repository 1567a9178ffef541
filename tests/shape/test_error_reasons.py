"""Every reason of an error is in the contract, and every reason in the contract is given somewhere."""

from __future__ import annotations

import ast
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from celeriac.errors.v1 import error_reason_pb2

from deploy.envoy.replies import MALFORMED, REFUSALS
from protos.generate import PROTOS
from protos.reasons import CONTRACT, PAGE, PREFIX, reasons, table, with_table
from services.kernel import errors
from services.kernel.grpc.errors import CODES

ROOT = Path(__file__).parents[2]
FAMILY = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.CeleriacError)
}
# A NotFound and an AlreadyExists make their reasons from the kind of resource, their first argument.
ENDINGS = {"NotFound": "_NOT_FOUND", "AlreadyExists": "_EXISTS"}
# The classes whose reason is their own, whatever they are made with.
FIXED = [
    errors.Conflict("a", "b"),
    errors.Invalid([]),
    errors.Exhausted("a", 1),
    errors.TooLarge(2, 1),
    errors.Unavailable("a"),
    errors.Locked("a", 1),
    errors.NotReady("a", 1),
]
# The family's root is raised by name once, for what is nobody's fault but ours.
CODE_OF_ROOT = "INTERNAL"


def given_by_services() -> Iterator[tuple[str, str, str]]:
    """Where an error is made, its reason, and the gRPC code that goes with its class."""
    fixed = {type(error).__name__ for error in FIXED}
    for path in sorted((ROOT / "services").rglob("*.py")):
        if path == Path(errors.__file__):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            name = ast.unparse(node.func).rpartition(".")[2]
            if name in FAMILY and name not in fixed:
                where = f"{path.relative_to(ROOT)}:{node.lineno}"
                first = node.args[0] if node.args else None
                text = first.value if isinstance(first, ast.Constant) else None
                assert isinstance(text, str), f"{where}: the reason must be a text that is written there"
                reason = f"{text.upper()}{ENDINGS[name]}" if name in ENDINGS else text
                code = CODES[FAMILY[name]].name if FAMILY[name] in CODES else CODE_OF_ROOT
                yield where, reason, code
    for error in FIXED:
        yield type(error).__name__, error.reason, CODES[type(error)].name


def given_by_the_gateway() -> Iterator[tuple[str, str, str]]:
    for refusal in REFUSALS:
        yield f"deploy/envoy/replies.py: {refusal.message}", refusal.reason, refusal.code.name
    yield "deploy/envoy/replies.py", MALFORMED, "INVALID_ARGUMENT"


GIVEN = [*given_by_services(), *given_by_the_gateway()]
STATED = {reason.name: reason for reason in reasons()}


@pytest.mark.parametrize(("where", "reason", "code"), GIVEN, ids=lambda value: str(value)[:60])
def test_a_reason_that_is_given_is_in_the_contract_with_its_code(where: str, reason: str, code: str) -> None:
    assert reason in STATED, f"{where}: add {PREFIX}{reason} to protos/{CONTRACT}"
    assert STATED[reason].code == code


def test_a_reason_in_the_contract_is_given_somewhere() -> None:
    assert sorted(STATED.keys() - {reason for _, reason, _ in GIVEN}) == []


def test_the_stubs_have_the_reasons_of_the_contract() -> None:
    names = {name.removeprefix(PREFIX) for name in error_reason_pb2.ErrorReason.DESCRIPTOR.values_by_name}
    assert names == {"UNSPECIFIED", *STATED}


def test_a_reason_says_what_happened_and_what_to_do() -> None:
    for reason in STATED.values():
        assert len(reason.text.split()) >= 8, reason
        assert "|" not in reason.text, "it would end its cell of the table"


def test_the_page_has_the_list_of_the_contract() -> None:
    page = PAGE.read_text()
    assert with_table(page, reasons()) == page, "run `make protos`"
    assert all(f"| `{name}` | " in table(reasons()) for name in STATED)


def test_a_reason_without_a_code_and_a_page_without_its_marks_are_refused(tmp_path: Path) -> None:
    shutil.copytree(PROTOS / "celeriac", tmp_path / "celeriac")
    file = tmp_path / CONTRACT
    file.write_text(
        file.read_text().replace("// UNAUTHENTICATED: The token has expired", "// The token has expired")
    )
    with pytest.raises(
        ValueError, match="ERROR_REASON_TOKEN_EXPIRED: its comment must begin with a status code"
    ):
        reasons(tmp_path)
    with pytest.raises(ValueError, match="the page lacks the lines"):
        with_table("# A page\n", reasons())
