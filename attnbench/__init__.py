"""attnbench: what an attention module really costs, inside the network, on this machine."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnbench._version import __version__

if TYPE_CHECKING:
    from attnbench.accuracy.checkpoints import (
        load_authors_state_dict,
        read_weights,
        to_authors_state_dict,
    )
    from attnbench.hosts.build import build, resnet
    from attnbench.measuring import RunOptions, run
    from attnbench.notebook import measure
    from attnbench.report import read

__all__ = [
    "RunOptions",
    "__version__",
    "build",
    "load_authors_state_dict",
    "measure",
    "read",
    "read_weights",
    "resnet",
    "run",
    "to_authors_state_dict",
]

_HOMES = {
    ".accuracy.checkpoints": ("load_authors_state_dict", "read_weights", "to_authors_state_dict"),
    ".hosts.build": ("build", "resnet"),
    ".measuring": ("RunOptions", "run"),
    ".notebook": ("measure",),
    ".report": ("read",),
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use: the package alone imports neither torch nor pandas."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home, __name__), name)
    raise AttributeError(f"module 'attnbench' has no attribute '{name}'")


def __dir__() -> list[str]:
    private = (name for name in globals() if name.startswith("_") and name not in __all__)
    return [*__all__, *private]


def _import_modules_of_checkout(folder: Path) -> None:
    """Import the folder modules/ of a checkout, whatever else is installed under its name."""
    spec = spec_from_file_location(
        f"{__name__}.modules", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)


if not Path(__file__).with_name("modules").exists():
    _import_modules_of_checkout(Path(__file__).parents[1] / "modules")
