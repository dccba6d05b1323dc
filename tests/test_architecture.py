"""The plan of the house: which room may import which, and how large a folder may be.

Read from the source, so that imports within functions count too.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from itertools import chain
from pathlib import Path

import pytest

import attnbench

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "attnbench"

MOST_FILES = 12

FOUNDATION = {"errors", "text", "files", "host_names", "temporary"}
"""What every room may import, and what imports nothing of the package but its own kind."""

MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "text": set(),
    "files": {"errors"},
    "temporary": {"errors"},
    "host_names": set(),
    "_version": set(),
    "modules": set(),
    "records": set(),
    "counting": {"records"},
    "devices": {"records"},
    "stats": {"records"},
    "system": {"records", "devices", "_version"},
    "plugins": {"modules", "records"},
    "hosts": {"modules", "plugins", "records", "system", "counting"},
    "runtimes": {"records", "_version"},
    "formatting": {"stats", "modules"},
    "measuring": {
        *("counting", "devices", "hosts", "plugins", "records", "runtimes", "stats", "system"),
        *("modules", "formatting"),
    },
    "equivalence": {"counting", "plugins", "modules"},
    "accuracy": {"devices", "hosts", "plugins", "records", "runtimes", "system", "modules"},
    "detection": {"accuracy", "devices", "hosts", "plugins", "records", "system", "modules"},
    "training": {
        *("accuracy", "detection", "devices", "hosts", "measuring", "modules"),
        *("plugins", "records", "stats", "system"),
    },
    "claims": {"records", "stats"},
    "analysis": {"records", "stats", "claims", "formatting"},
    "report": {"records", "stats", "claims", "formatting", "modules"},
    "sweeps": {"_version", "measuring", "modules", "plugins", "records", "runtimes", "system"},
    "cli": {
        *("_version", "modules", "records", "counting", "stats", "system", "plugins"),
        *("hosts", "formatting", "measuring", "accuracy", "claims", "analysis", "report"),
        *("equivalence", "detection", "training", "sweeps", "runtimes", "devices"),
    },
    "notebook": {"plugins", "records", "measuring", "report"},
    "__main__": {"cli"},
    # What users import from the top, on first use.
    "__init__": {"_version", "hosts", "report", "accuracy", "measuring", "notebook"},
}
"""Room -> the rooms that it may import, beside itself and the foundation."""

MAY_IMPORT_MORE: dict[str, set[str]] = {
    "claims/check.py": {"counting", "hosts", "plugins", "system", "modules"},
    "claims/published/networks.py": {"modules"},
    "claims/published/copies.py": {"hosts"},
    "claims/check_pins.py": {"counting", "hosts", "plugins", "system", "modules"},
    "claims/limits/file.py": {"runtimes"},
    "claims/limits/check.py": {"hosts", "plugins", "runtimes", "system", "modules"},
    "claims/limits/counted.py": {"counting", "plugins", "modules"},
    "claims/limits/executed.py": {"hosts", "plugins", "runtimes", "modules"},
    "claims/limits/placed.py": {"hosts", "plugins"},
}
"""Files that may import more than their room."""

WITHIN_REPORT = ("tables", "plots", "machines", "formats", "write")
"""From the bottom: each may import those before it."""

WITHOUT_TORCH = (
    *(
        "text",
        "files",
        "temporary",
        "host_names",
        "records",
        "stats",
        "formatting",
        "analysis",
        "report",
    ),
    *("sweeps", "runtimes/table.py"),
    *("claims/claim.py", "claims/limits/file.py", "measuring/options", "accuracy/options.py"),
    *("detection/options.py", "detection/annotations.py"),
    *("training/options.py", "training/setup/requirements.py", "training/detection/files.py"),
)
"""Read by machines that have no torch: neither they nor what they import may import it."""

FILES = sorted(
    [*PACKAGE.rglob("*.py"), *(ROOT / "modules").glob("*.py")],
)


def named(path: Path) -> str:
    """``records/schema.py``, ``modules/sa.py``, ``errors.py``."""
    return str(path.relative_to(ROOT)).removeprefix("attnbench/")


def room(path: Path) -> str:
    return Path(named(path)).parts[0].removesuffix(".py")


@cache
def nodes(path: Path) -> list[ast.AST]:
    return [*ast.walk(ast.parse(path.read_text(encoding="utf-8")))]


def imported(path: Path) -> Iterator[str]:
    """What a file imports by its whole name, wherever in the file it does so."""
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms_imported(path: Path) -> set[str]:
    whole = (name.split(".") for name in imported(path))
    return {parts[1] for parts in whole if parts[0] == "attnbench" and len(parts) > 1}


def allowed(path: Path) -> set[str]:
    mine = room(path)
    everywhere = set() if mine in FOUNDATION else FOUNDATION
    return everywhere | MAY_IMPORT[mine] | MAY_IMPORT_MORE.get(named(path), set()) | {mine}


def test_a_room_imports_only_what_it_may() -> None:
    beyond = {named(path): rooms_imported(path) - allowed(path) for path in FILES}
    assert {path: rooms for path, rooms in beyond.items() if rooms} == {}


def test_every_room_is_in_the_plan() -> None:
    assert {room(path) for path in FILES} == set(MAY_IMPORT)


def test_only_the_entry_points_import_the_command_line() -> None:
    outside = [path for path in FILES if room(path) != "cli"]
    assert [named(path) for path in outside if "cli" in rooms_imported(path)] == ["__main__.py"]


def test_imports_are_by_whole_names() -> None:
    """A relative one would pass by the tests of this file."""
    for path in PACKAGE.rglob("*.py"):
        for node in nodes(path):
            assert not (isinstance(node, ast.ImportFrom) and node.level), named(path)


@pytest.mark.parametrize("floor", WITHIN_REPORT)
def test_within_the_report_imports_go_down(floor: str) -> None:
    above = WITHIN_REPORT[WITHIN_REPORT.index(floor) + 1 :]
    place = PACKAGE / "report" / floor
    files = [place.with_suffix(".py")] if place.with_suffix(".py").exists() else place.rglob("*.py")
    for path in files:
        for name in imported(path):
            assert not name.startswith(tuple(f"attnbench.report.{each}" for each in above)), named(
                path
            )


def files_of(place: str) -> list[str]:
    """The names by which a room's files, or a file, are imported."""
    whole = PACKAGE / place
    files = sorted(whole.rglob("*.py")) if whole.is_dir() else [whole.with_suffix(".py")]
    return [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in files
    ]


def test_rooms_for_machines_without_torch_import_none() -> None:
    """In a process where importing torch is an error; each where none of the package is there."""
    code = (
        "import importlib, sys\n"
        "sys.modules['torch'] = None\n"
        f"for names in {[*map(files_of, WITHOUT_TORCH)]!r}:\n"
        "    for known in [name for name in sys.modules if name.startswith('attnbench')]:\n"
        "        del sys.modules[known]\n"
        "    for name in names:\n"
        "        importlib.import_module(name)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_folder_is_read_at_a_glance() -> None:
    for folder in {path.parent for path in FILES}:
        files = [path for path in folder.iterdir() if path.is_file() and path.name != "py.typed"]
        assert len(files) <= MOST_FILES, folder


def test_what_is_public_is_what_can_be_imported() -> None:
    for name in attnbench.__all__:
        assert getattr(attnbench, name) is not None
    assert set(attnbench.__all__) == {"__version__", *chain(*attnbench._HOMES.values())}
