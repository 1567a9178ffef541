"""A service's extra installs all that the service imports: seen from the imports, without installing."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from services import STORING

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
OURS = {"services", "deploy"}


def installed_by(requirements: Iterable[str]) -> set[str]:
    """Names of all distributions that come with the requirements, extras of theirs included."""
    found: set[tuple[str, str]] = set()
    waiting = [Requirement(requirement) for requirement in requirements]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        for extra in ["", *requirement.extras]:
            if (name, extra) in found:
                continue
            found.add((name, extra))
            inner = map(Requirement, metadata.requires(name) or [])
            waiting += [one for one in inner if not one.marker or one.marker.evaluate({"extra": extra})]
    return {name for name, _ in found}


def imported_by(folder: Path) -> dict[str, str]:
    """The modules that the code below a folder imports, by top-level name, each with a place."""
    found = {}
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module]
            else:
                continue
            for name in names:
                found[name.partition(".")[0]] = f"{path.relative_to(ROOT)}:{node.lineno}"
    return found


def missing(folder: Path, requirements: Iterable[str]) -> list[str]:
    installed = installed_by(requirements)
    distributions = metadata.packages_distributions()
    return [
        f"{place} imports {module}"
        for module, place in imported_by(folder).items()
        if module not in OURS and module not in sys.stdlib_module_names
        # One that is installed from this repository (celeriac) shows no modules of its own.
        if not {canonicalize_name(name) for name in distributions.get(module, [module])} & installed
    ]


def test_the_kernel_needs_what_every_service_installs() -> None:
    assert missing(ROOT / "services/kernel", PROJECT["dependencies"]) == []


@pytest.mark.parametrize("service", STORING)
def test_a_services_extra_installs_what_it_imports(service: str) -> None:
    assert missing(ROOT / "services" / service, [*PROJECT["dependencies"], *EXTRAS[service]]) == []


def test_the_one_machine_system_and_the_gateway_are_installed_by_their_extra() -> None:
    """Beside the services' own extras: whoever runs all of them has them all."""
    everything = [*PROJECT["dependencies"], *(name for extra in EXTRAS.values() for name in extra)]
    assert missing(ROOT / "deploy", everything) == []


def test_the_scheduler_and_the_audit_service_carry_no_numbers_and_no_workers() -> None:
    for service in ("scheduler", "audit"):
        installed = installed_by([*PROJECT["dependencies"], *EXTRAS[service]])
        assert not installed & {"numpy", "onnxruntime", "faiss-cpu", "celery"}


def test_an_import_that_nothing_installs_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    (tmp_path / "lost.py").write_text("import json\nfrom numpy import array\nimport grpc\n")
    assert missing(tmp_path, PROJECT["dependencies"]) == ["lost.py:2 imports numpy"]
