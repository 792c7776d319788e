"""The house rules that a reviewer would otherwise have to remember."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import mlops_assets

PACKAGE = Path(mlops_assets.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

#: Imports run from the left to the right only. Modules of one layer may import each other.
LAYERS = [
    {"definitions", "cli", "notebook"},
    {"use_cases", "replay"},
    {"build"},
    {"assets", "automation"},
    {"checks"},
    {"resources"},
    {"core"},
    {"settings"},
    {"vocabulary"},
]
HEAVY = {"pandas", "pandera", "sklearn", "scipy", "matplotlib", "skops", "pyarrow", "apprise"}
HEAVY |= {"sqlglot"}


def layer(name: str) -> int:
    return next((i for i, names in enumerate(LAYERS) if name in names), -1)


def imported_modules(path: Path, *, top_level_only: bool = False) -> set[str]:
    tree = ast.parse(path.read_text())
    typing_only = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and "TYPE_CHECKING" in ast.unparse(branch.test)
        for node in ast.walk(branch)
    }
    nodes = tree.body if top_level_only else list(ast.walk(tree))
    names = set()
    for node in nodes:
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_module_imports_upwards(path: Path) -> None:
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if own == "__init__":
        return
    for name in imported_modules(path):
        parts = name.split(".")
        if parts[0] == "mlops_assets" and len(parts) > 1 and layer(parts[1]) >= 0:
            assert layer(parts[1]) >= layer(own), f"{path.name} must not import {name}"


@pytest.mark.parametrize("path", sorted((PACKAGE / "core").rglob("*.py")), ids=lambda p: p.stem)
def test_the_domain_does_not_know_dagster(path: Path) -> None:
    assert not {n for n in imported_modules(path) if n.split(".")[0] == "dagster"}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_module_imports_a_heavy_library_before_it_is_needed(path: Path) -> None:
    top_level = {n.split(".")[0] for n in imported_modules(path, top_level_only=True)}
    assert not top_level & HEAVY


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_the_package_outside_use_cases_knows_no_flight(path: Path) -> None:
    if (
        "use_cases" in path.parts
        or path.name == "definitions.py"
        or path.parts[-2:] == ("cli", "support.py")
    ):
        return
    assert not re.search(r"flight|airport|airline|nycflights", path.read_text(), re.IGNORECASE)


def test_no_pickle_or_joblib_is_ever_loaded() -> None:
    for path in MODULES:
        assert not {n.split(".")[0] for n in imported_modules(path)} & {"pickle", "joblib", "dill"}


def test_every_module_says_what_belongs_in_it() -> None:
    silent = [
        p.name for p in MODULES if p.read_text() and not ast.get_docstring(ast.parse(p.read_text()))
    ]
    assert silent == []


def test_importing_the_code_location_opens_no_data_and_loads_no_heavy_library(
    tmp_path: Path,
) -> None:
    script = (
        "import sys\n"
        "opened = []\n"
        "note = lambda event, args: opened.append(str(args[0])) if event == 'open' else None\n"
        "sys.addaudithook(note)\n"
        "import mlops_assets.definitions\n"
        f"heavy = {HEAVY!r} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "endings = ('.parquet', '.duckdb', '.csv', '.jsonl', '.sqlite')\n"
        "data = [p for p in opened if p.endswith(endings)]\n"
        "assert not data, data\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr
