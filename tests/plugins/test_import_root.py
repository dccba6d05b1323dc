"""Modules of a collection, imported from its folder, and which files identify them."""

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from attnbench.modules import SettingsError
from attnbench.plugins.resolve import parse

FILES = {
    "gates/__init__.py": "",
    "gates/attention/gate.py": (
        "from torch import nn\n"
        "from .common import Base\n"
        "from ..sizes import HALF\n"
        "import collected.shapes as shapes\n"
        "class Gate(Base):\n"
        "    def __init__(self, in_planes, reduction=16):\n"
        "        super().__init__(in_planes, in_planes, 1, groups=in_planes)\n"
        "    def forward(self, x):\n"
        "        import collected.late\n"
        "        return super().forward(x)\n"
    ),
    "gates/attention/common.py": "from torch.nn import Conv2d as Base\n",
    "gates/sizes.py": "HALF = 2\n",
    "collected/shapes.py": "",
    "collected/late.py": "",
    "collected/unused.py": "",
}
"""A package, and beside it one without an __init__."""

GATE = "gates.attention.gate:Gate"


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Leave the process as it was: in use, it is a child's."""
    modules, path = {*sys.modules}, [*sys.path]
    yield
    sys.path[:] = path
    for name in {*sys.modules} - modules:
        if name.split(".")[0] in {"gates", "collected"}:
            del sys.modules[name]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return collection(tmp_path / "collection")


def collection(folder: Path, **changed: str) -> Path:
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(changed.get(path.stem, text))
    return folder


def test_a_module_is_imported_as_its_authors_import_it(root: Path, tmp_path: Path):
    reference = parse(f"{GATE},import_root=collection,reduction=8", tmp_path)
    assert reference.load().build(6).weight.shape == (6, 1, 1, 1)
    assert sys.path[-1] == str(root)  # for the import in its forward, but before nothing else


def test_the_digest_holds_every_file_of_the_root_that_is_imported(root: Path):
    reference = parse(f"{GATE},import_root={root}")
    known = {reference.origin()}
    assert known.pop().endswith(" of 6 files")  # all but one
    known.add(reference.origin())
    for name in FILES:
        text = (root / name).read_text()
        (root / name).write_text(f"{text}# changed\n")
        assert (reference.origin() in known) == (name == "collected/unused.py"), name
        (root / name).write_text(text)
    assert reference.origin() in known


def test_the_digest_is_of_the_files_and_not_of_where_they_lie(root: Path, tmp_path: Path):
    other = collection(tmp_path / "elsewhere" / "copy")
    origins = [parse(f"{GATE},import_root={folder}").origin() for folder in (root, other)]
    assert origins[0] == origins[1]


def test_a_file_may_import_from_a_root_and_from_beside_itself(root: Path, tmp_path: Path):
    (tmp_path / "mine.py").write_text("from gates.attention.gate import Gate\nimport beside\n")
    (tmp_path / "beside.py").write_text("")
    reference = parse(f"mine.py:Gate,import_root={root}", tmp_path)
    assert reference.load().build(6).weight.shape == (6, 1, 1, 1)
    assert reference.origin().endswith(" of 8 files")
    without = parse("mine.py:Gate", tmp_path)
    assert without.origin().endswith(" of 2 files")


def test_where_code_imports_by_other_ways_every_file_of_the_root_counts(tmp_path: Path):
    folder = collection(tmp_path, common="import importlib\nfrom torch.nn import Conv2d as Base\n")
    for installed in (".venv/a.py", "lib/site-packages/b.py"):
        (folder / installed).parent.mkdir(parents=True)
        (folder / installed).write_text("")
    assert parse(f"{GATE},import_root={folder}").origin().endswith(f" of {len(FILES)} files")


def test_an_import_that_no_statement_names_is_refused(tmp_path: Path):
    # Python imports what __all__ lists.
    folder = collection(tmp_path, sizes="from collected import *\nHALF = 2\n")
    (folder / "collected" / "__init__.py").write_text("__all__ = ['unused']\n")
    with pytest.raises(SettingsError, match=r"imports .*unused.py in a way that cannot be read"):
        parse(f"{GATE},import_root={folder}").load()


def test_several_modules_of_one_collection_stand_side_by_side(root: Path):
    (root / "gates" / "other.py").write_text("from torch.nn import Identity as Other\n")
    parse(f"{GATE},import_root={root}").load()
    other = parse(f"gates.other:Other,import_root={root}")
    other.load()
    assert other.origin().endswith(" of 2 files")


def test_two_collections_with_one_name_are_refused_together(root: Path, tmp_path: Path):
    other = collection(tmp_path / "other")
    parse(f"{GATE},import_root={root}").load()
    with pytest.raises(SettingsError, match=r"'\w+' is already loaded from .*collection"):
        parse(f"{GATE},import_root={other}").load()


def test_what_a_module_imports_is_not_taken_from_another_folder(root: Path, tmp_path: Path):
    (tmp_path / "elsewhere" / "collected").mkdir(parents=True)
    (tmp_path / "elsewhere" / "collected" / "shapes.py").write_text("")
    sys.path.append(str(tmp_path / "elsewhere"))
    import_module("collected.shapes")
    with pytest.raises(SettingsError, match=r"'collected' is already loaded from .*elsewhere"):
        parse(f"{GATE},import_root={root}").load()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (GATE, "has to be named: --import-root DIR"),
        ("timm.layers.cbam:CbamModule", "a file that holds 'from timm.layers.cbam import CbamMod"),
        ("sa,import_root=collection", "goes with package.module:ClassName or file.py"),
        (f"{GATE},import_root=nowhere", "no folder 'nowhere' to import from"),
        ("gates.attention.gat:Gate,import_root=collection", r"no gates.attention.gat in .* gate\?"),
        ("gates.attention.gate:Gat,import_root=collection", "there is no Gat in"),
    ],
)
def test_what_cannot_be_imported_is_one_line(root: Path, name: str, message: str):
    with pytest.raises(SettingsError, match=message) as raised:
        parse(name, root.parent).load()
    assert "\n" not in str(raised.value)


def test_code_that_fails_is_named(tmp_path: Path):
    folder = collection(tmp_path, sizes="1 / 0")
    with pytest.raises(SettingsError, match=r"gates.attention.gate cannot be imported: ZeroDiv"):
        parse(f"{GATE},import_root={folder}").load()
