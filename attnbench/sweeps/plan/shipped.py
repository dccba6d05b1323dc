"""The files of custom modules, which go to the machine that measures, with their digests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path, PurePosixPath

from attnbench.errors import UserError
from attnbench.files import resolved
from attnbench.plugins import python_file, resolve
from attnbench.plugins.resolve import ModuleReference
from attnbench.plugins.spec import is_in_file
from attnbench.sweeps.plan.configuration import Configuration
from attnbench.text import printable

MOST_BYTES = 2**24
"""Of one file: these are programs, no data sets."""


@dataclass(frozen=True)
class Shipped:
    """Files below a folder, by their paths in it with slashes."""

    folder: Path
    contents: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def digests(self) -> dict[str, str]:
        """The digest of each file."""
        return {name: digest(content) for name, content in self.contents.items()}

    def with_file(self, name: str) -> Shipped:
        """Return these and one more.

        Raises:
            UserError: it is not below the folder, cannot be read, or is too large.
        """
        require_inside(name)
        try:
            content = (self.folder / name).read_bytes()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UserError(f"cannot read {self.folder / name}: {reason}") from error
        if len(content) > MOST_BYTES:
            raise UserError(f"{name} has {len(content):,} bytes, of at most {MOST_BYTES:,}")
        return replace(self, contents={**self.contents, PurePosixPath(name).as_posix(): content})

    def with_modules(self, configurations: Iterable[Configuration]) -> Shipped:
        """Return these and the files of all custom modules.

        Raises:
            UserError: one cannot be read.
        """
        files = self
        names = {name for known in configurations for name in known.modules}
        for name in sorted(names):
            module = resolve.parse(name, self.folder)
            if module.spec.is_code:
                for path in _files(module, self.folder):
                    files = files.with_file(path)
        return files

    def write(self, folder: Path) -> None:
        """Write the files below another folder.

        Raises:
            UserError: a path leaves it.
            OSError: one cannot be written.
        """
        for name, content in self.contents.items():
            require_inside(name)
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def digest(content: bytes) -> str:
    """Return what identifies a file's content."""
    return sha256(content).hexdigest()


def require_inside(name: str) -> None:
    """Refuse the path of a file that does not lie below the folder that it starts from.

    Raises:
        UserError: it does not.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or name.startswith("~") or "\\" in name:
        raise UserError(
            f"'{printable(name, 100)}' goes to other machines by its path below the folder of the "
            "sweep, so it must lie there: no '..', no absolute path"
        )


def require_below(module: ModuleReference) -> None:
    """Refuse a module whose file or import root does not lie below the folder of the sweep.

    Raises:
        UserError: it does not.
    """
    root = module.spec.import_root
    if root is not None:
        require_inside(root)
    if path := _file(module):
        require_inside(path)


def _file(module: ModuleReference) -> str | None:
    source = module.spec.source
    return source.rpartition(":")[0] if is_in_file(source) else None


def _files(module: ModuleReference, folder: Path) -> list[str]:
    """Return the paths below a folder of all files that a module's digest is of.

    Raises:
        UserError: one does not lie there.
    """
    whole = resolved(folder)
    try:
        return [
            path.relative_to(whole).as_posix()
            for path in python_file.files(module.spec.source, folder, module.spec.import_root)
        ]
    except ValueError as error:
        raise UserError(
            f"'{printable(module.name, 100)}' needs files that do not lie below the folder of the "
            f"sweep: {printable(str(error), 200)}"
        ) from error
