"""A service that exists is wired everywhere: contract, stubs, tests, gateway, one-machine system, docs."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import tomllib
from pathlib import Path

import celeriac
import pytest
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import FileDescriptor, MethodDescriptor

from deploy.standalone.certificates import COMPONENTS
from services import SERVICES, STORING
from services.kernel.grpc.identify import SERVICE_NAMES
from services.kernel.policy import policy_of
from services.kernel.settings import KernelSettings

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(celeriac.__path__, "celeriac.")
    if module.name.endswith("_pb2")
)


def servicers(service: str) -> list[Path]:
    """A small service has its servicers in api.py, one that has grown in a room of that name."""
    folder = ROOT / "services" / service
    return [*folder.glob("api.py"), *folder.glob("api/*.py")]


def contract(module: str) -> FileDescriptor:
    descriptor: FileDescriptor = importlib.import_module(module).DESCRIPTOR
    return descriptor


def methods() -> list[MethodDescriptor]:
    return [
        method
        for module in MODULES
        for service in contract(module).services_by_name.values()
        for method in service.methods
    ]


def test_every_folder_of_a_service_is_in_the_one_list() -> None:
    folders = {path.parent.name for path in (ROOT / "services").glob("*/__main__.py")}
    assert folders == set(STORING)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_all_its_parts(service: str) -> None:
    parts = [
        f"protos/celeriac/{service}/v1",
        f"clients/python/src/celeriac/{service}/v1",
        f"services/{service}/__init__.py",
        f"services/{service}/__main__.py",
        f"services/{service}/settings.py",
        f"services/{service}/migrations/versions",
        f"tests/unit/{service}",
        f"tests/services/{service}",
        f"benchmarks/{service}/__main__.py",
    ]
    assert [part for part in parts if not (ROOT / part).exists()] == []
    assert servicers(service), "no servicer"
    assert list((ROOT / "services" / service).glob("**/store*.py")), "no store"


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_named_wherever_services_are_listed(service: str) -> None:
    assert service in PYPROJECT["project"]["optional-dependencies"]
    for contract_of_imports in PYPROJECT["tool"]["importlinter"]["contracts"]:
        # Those about the rooms of one service list no other.
        listed = contract_of_imports.get("forbidden_modules", contract_of_imports.get("modules", []))
        ours = {module for module in listed if module.partition(".")[0] == "services"}
        # A contract may be about packages of others.
        assert not ours or ours & {f"services.{service}", "services"}
    for page in ("README.md", "docs/architecture.md", "CHANGELOG.md"):
        assert re.search(rf"\b{service}\b", (ROOT / page).read_text(), re.IGNORECASE), page
    assert f"{service}.celeriac.internal" in SERVICE_NAMES
    assert service in COMPONENTS


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_starts_with_settings_of_its_own(service: str) -> None:
    module = importlib.import_module(f"services.{service}.settings")
    own = [
        name
        for name, kind in vars(module).items()
        if isinstance(kind, type) and issubclass(kind, KernelSettings) and kind.__module__ == module.__name__
    ]
    main = (ROOT / "services" / service / "__main__.py").read_text()
    assert [name for name in own if re.search(rf"process\.main\(\s*\"{service}\", {name}\b", main)]
    importlib.import_module(f"services.{service}.__main__")


def test_ci_runs_every_check_and_every_test() -> None:
    ran = re.findall(r"^make (.+)$", (ROOT / ".ci/run").read_text(), re.MULTILINE)
    assert {"check", "test"} <= set(" ".join(ran).split())
    makefile = (ROOT / "Makefile").read_text()
    checks = re.search(r"^check: (.*?) ##", makefile, re.MULTILINE)
    assert checks
    wanted = {"lint", "types", "imports", "protos-check", "protos-lint", "protos-breaking"}
    assert wanted <= set(checks[1].split())
    assert all(re.search(rf"^{check}:", makefile, re.MULTILINE) for check in wanted)


@pytest.mark.parametrize("method", methods(), ids=lambda method: method.full_name)
def test_every_method_states_a_sound_policy_and_says_what_it_does(method: MethodDescriptor) -> None:
    policy_of(method)
    file = method.containing_service.file.name
    source = (ROOT / "protos" / file).read_text()
    found = re.search(rf"(?P<comment>(?:^ *//.*\n)+) *rpc {method.name}\(", source, re.MULTILINE)
    assert found, f"{method.full_name} has no comment in {file}"


@pytest.mark.parametrize("method", methods(), ids=lambda method: method.full_name)
def test_every_method_is_answered_by_a_servicer_of_its_service(method: MethodDescriptor) -> None:
    """By the class that the contract generates a base for; a method of that name elsewhere is no answer."""
    base = f"{method.containing_service.name}Servicer"
    answering = [
        path
        for service in SERVICES
        for path in servicers(service)
        for servicer in ast.walk(ast.parse(path.read_text()))
        if isinstance(servicer, ast.ClassDef) and any(ast.unparse(of).endswith(base) for of in servicer.bases)
        for node in servicer.body
        if isinstance(node, ast.AsyncFunctionDef) and node.name == method.name
    ]
    assert answering, f"{method.full_name} is in the contract, and nobody answers it"


@pytest.mark.parametrize("service", sorted({method.containing_service.name for method in methods()}))
def test_every_contract_is_added_to_a_server(service: str) -> None:
    adding = f"add_{service}Servicer_to_server"
    assert any(adding in path.read_text() for path in (ROOT / "services").rglob("*.py")), adding


def test_contract_package_and_import_path_are_the_same() -> None:
    for module in MODULES:
        file = contract(module)
        assert file.package.replace(".", "/") == str(Path(file.name).parent)
        assert module == file.name.removesuffix(".proto").replace("/", ".") + "_pb2"


def test_every_contract_file_is_loaded_into_one_pool_without_conflict() -> None:
    pool = descriptor_pool.Default()
    for module in MODULES:
        assert pool.FindFileByName(contract(module).name).package.startswith("celeriac.")
