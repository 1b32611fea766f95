"""The architecture, checked by reading the source: who may import whom, where packages live, sizes, also of tests."""

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "kinky"

# From the lowest. A layer may import those above it in this list; members of one layer do not know each other.
LAYERS = (
    {
        "",
        "accelerator",
        "apt",
        "errors",
        "exit_codes",
        "file_lock",
        "findings",
        "foreground",
        "given_paths",
        "names",
        "os_errors",
        "paths",
        "process",
        "progress",
        "proxies",
        "retry",
    },
    {"releases"},
    {"config"},
    {"topology", "kube", "vault"},
    {"render", "manifests"},
    {"scan"},
    {"border"},
    {"keys"},
    {"reach"},
    {"ownership"},
    {"forming", "stores", "images", "toolchain", "artefacts"},
    {"nodeimage"},
    {"gate", "fit", "embedded"},
    {"operations"},
    {"rotation"},
    {"why"},
    {"status"},
    {"report", "bundle"},
    {"components"},
    {"program"},
    {"stacks"},
    {"bench"},
    {"cli"},
    {"testing"},
)
FOUNDATION = LAYERS[0]
FRONT = {"components", "program"}
"""Whose names `from kinky import ...` gives, at their first use."""

# Where a package may be imported; paths below kinky/, a trailing slash means the folder.
HOMES = {
    "aiohttp": ("kube/",),
    "argcomplete": ("cli/",),
    "cryptography": ("keys/material.py", "keys/certificates.py"),
    "grpc": ("components/told.py",),
    "hvac": ("vault/",),
    "jinja2": ("render/environment.py",),
    "jsonschema": ("render/",),
    "kubernetes": ("testing/cluster.py",),  # its client is what a test of somebody else's knows
    "pulumi": ("components/", "program.py", "stacks/", "bench/declaration.py"),
    "pulumi_kubernetes": ("components/", "bench/declaration.py"),
    "pydantic": ("config/",),
    "pydantic_core": ("config/",),
    "pytest": ("testing/plugin.py",),
    "requests": ("vault/",),  # what hvac raises when the network fails
    "rich": ("progress.py",),
    "subprocess": ("process.py",),
    "tenacity": ("retry.py",),
    "urllib3": ("kube/",),
    "yaml": ("",),
}
ROOM_LINES = 3500
MODULE_LINES = 300
FUNCTION_LINES = 50
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "manager", "common", "misc"}

MODULES = sorted(PACKAGE.rglob("*.py"))
ROOMS = sorted(folder for folder in PACKAGE.iterdir() if (folder / "__init__.py").is_file())
TESTS = sorted((ROOT / "tests").rglob("*.py"))
every_room = pytest.mark.parametrize("room", ROOMS, ids=lambda path: path.name)
every_module = pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))


@cache
def parse(module: Path) -> ast.Module:
    return ast.parse(module.read_text(), filename=str(module))


def place(module: Path) -> str:
    return module.relative_to(PACKAGE).as_posix()


def part(name: str) -> str:
    """Return the part of the package that a dotted module name below `kinky` belongs to; "" is the package itself."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else ""


def imports(tree: ast.Module, package: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the dotted name of every import, wherever in the module it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join(
                    [*package.split(".")[: len(package.split(".")) - node.level + 1], *filter(None, [base])]
                )
            # `from kinky import names` names a module; `from kinky.names import x` names what is in one.
            yield from ((node.lineno, f"{base}.{alias.name}" if base == "kinky" else base) for alias in node.names)


def rank(name: str) -> int:
    return next(number for number, layer in enumerate(LAYERS) if name in layer)


def layer_fault(own: str, other: str) -> bool:
    """Tell whether the part `own` of the package must not import the part `other`."""
    if own == other or {own, other} <= FOUNDATION:
        return False
    if own == "" and other in FRONT:
        return False
    return rank(other) >= rank(own)


def package_of(module: Path) -> str:
    return ".".join(("kinky", *module.relative_to(PACKAGE).parts[:-1]))


@every_module
def test_a_module_imports_only_layers_below_its_own(module: Path) -> None:
    own = place(module).split("/")[0].removesuffix(".py").replace("__init__", "")
    faults = [
        f"line {line}: {own} must not import {name}"
        for line, name in imports(parse(module), package_of(module))
        if name.split(".")[0] == "kinky" and layer_fault(own, part(name))
    ]
    assert not faults


@every_room
def test_a_room_imports_just_what_its_charter_says(room: Path) -> None:
    charter = ast.get_docstring(parse(room / "__init__.py")) or ""
    said = re.search(r"^Imports: (.*)\.\Z", charter, re.MULTILINE | re.DOTALL)
    assert said, "the docstring of a room ends with a line `Imports: ROOM, ROOM.`"
    named = set() if said[1] == "the foundation only" else {*re.split(r",\s+", said[1])}
    found = {
        part(name)
        for module in room.rglob("*.py")
        for _, name in imports(parse(module), package_of(module))
        if name.split(".")[0] == "kinky"
    }
    assert named == found - FOUNDATION - {room.name}


@every_room
def test_a_room_can_be_read_at_once(room: Path) -> None:
    assert sum(len(module.read_text().splitlines()) for module in room.rglob("*.py")) <= ROOM_LINES


@every_module
def test_a_package_is_imported_only_at_its_home(module: Path) -> None:
    faults = []
    for line, name in imports(parse(module), package_of(module)):
        top = name.split(".")[0]
        if top == "kinky" or (top in sys.stdlib_module_names and top not in HOMES):
            continue
        assert top in HOMES, f"line {line}: {top} has no home in this test"
        if not place(module).startswith(HOMES[top]):
            faults.append(f"line {line}: {top} lives in {', '.join(HOMES[top])}")
    assert not faults


@pytest.mark.parametrize("module", [*MODULES, *TESTS], ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_is_short_and_so_are_its_functions(module: Path) -> None:
    lines = len(module.read_text().splitlines())
    assert lines <= MODULE_LINES, f"{lines} lines"
    long = [
        f"{node.name}: {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(parse(module))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > FUNCTION_LINES
    ]
    assert not long


@every_module
def test_only_retry_sleeps(module: Path) -> None:
    sleeps = [
        node.lineno
        for node in ast.walk(parse(module))
        if (isinstance(node, ast.Attribute) and node.attr == "sleep")
        or (isinstance(node, ast.ImportFrom) and any(alias.name == "sleep" for alias in node.names))
    ]
    assert place(module) == "retry.py" or not sleeps


@every_module
def test_an_output_is_opened_only_by_a_named_function(module: Path) -> None:
    lambdas = [
        node.lineno
        for node in ast.walk(parse(module))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "apply"
        and any(isinstance(argument, ast.Lambda) for argument in node.args)
    ]
    assert not lambdas


@every_module
def test_a_module_has_a_name_that_says_something(module: Path) -> None:
    assert not {*module.relative_to(PACKAGE).with_suffix("").parts} & EMPTY_NAMES


def test_every_part_of_the_package_has_a_layer() -> None:
    parts = {place(module).split("/")[0].removesuffix(".py").replace("__init__", "") for module in MODULES}
    assert parts <= set().union(*LAYERS)


@pytest.mark.parametrize(
    ("own", "other", "fault"),
    [
        ("config", "errors", False),
        ("errors", "config", True),
        ("kube", "topology", True),
        ("process", "retry", False),
        ("cli", "program", False),
        ("components", "program", True),
        ("config", "", False),
    ],
)
def test_the_rule_itself(own: str, other: str, fault: bool) -> None:
    assert layer_fault(own, other) is fault


def test_imports_are_found_in_every_form() -> None:
    tree = ast.parse(
        "import a.b\nfrom kinky import names\nfrom kinky.config.model import X\ndef f():\n    from . import y"
    )
    assert list(imports(tree, "kinky.cli")) == [
        (1, "a.b"),
        (2, "kinky.names"),
        (3, "kinky.config.model"),
        (5, "kinky.cli"),
    ]
