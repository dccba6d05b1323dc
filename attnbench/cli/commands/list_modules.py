"""``attnbench list``: the table, what packages offer, and the modules that were asked for.

Without the latter, nothing is loaded: neither torch nor a package.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from importlib.util import find_spec

from attnbench import formatting
from attnbench.cli import output
from attnbench.cli.options import CustomModules, Timeout
from attnbench.errors import UserError
from attnbench.modules import ATTENTION, AttentionSpec, SettingsError
from attnbench.plugins import entry_points, timm
from attnbench.plugins.constructor import ConstructorError
from attnbench.plugins.resolve import ModuleReference, origins, parse
from attnbench.system import worker
from attnbench.text import error_line

HOSTS = tuple(dict.fromkeys(host for row in ATTENTION.values() for host in row.added_params))
"""Hosts for which the table states added parameters."""

HEADINGS = ("module", "site", *(f"in {host}" for host in HOSTS), "arXiv", "paper")

REFUSED = "refused: "

Row = tuple[str, ...]


def rows(custom: Collection[str] = ()) -> Iterator[Row]:
    """Return a row for each module; custom ones are loaded, checked and put into all hosts.

    Raises:
        SettingsError: the name of one of them cannot be read, or its file is not there.
    """
    origin_of = origins(map(parse, custom))  # their names are known and their files there
    for entry in ATTENTION.values():
        yield _row(entry, [_stated(entry, host) for host in HOSTS])
    for name in custom:
        module = parse(name)
        yield _custom(module, origin_of.get(module.name))
    for offered in entry_points.offered():
        if offered.name not in custom:
            unknown = [formatting.NOTHING] * (2 + len(HOSTS))
            yield (offered.name, *unknown, entry_points.origin(offered))


def remarks() -> Iterator[str]:
    """Yield what else can be asked for, in sentences."""
    missing = "" if find_spec("timm") else "; it is not installed: pip install -e '.[timm]'"
    yield f"timm:NAME for {', '.join(timm.NAMES)} (of timm{missing})."
    yield "path/to/file.py:ClassName for a class in a file."
    names = [f"{entry.name} of {entry_points.origin(entry)}" for entry in entry_points.shadowed()]
    if names:
        yield f"Cannot be selected, because their names are reserved: {', '.join(names)}."


def _custom(module: ModuleReference, origin: str | None) -> Row:
    from attnbench.hosts import check_module

    try:
        return check_module.in_subprocess(_loaded, module, origin)
    except UserError as error:  # the others are listed all the same
        return _refused(module, str(error).removeprefix(f"{module.name} is refused: "), origin)


def _loaded(module: ModuleReference, origin: str | None) -> Row:
    try:
        attention = module.load()
    except ConstructorError as error:
        return _refused(module, str(error), origin)
    return _row(attention, [_added(attention, host) for host in HOSTS], origin)


def _refused(module: ModuleReference, why: str, origin: str | None) -> Row:
    nothing = formatting.NOTHING
    return (module.name, nothing, *[f"{REFUSED}{why}"] * len(HOSTS), nothing, origin or "")


def _row(entry: AttentionSpec, added: Iterable[str], origin: str | None = None) -> Row:
    paper = f"{entry.title}, {origin}" if origin else entry.title
    return (entry.name, entry.site, *added, entry.arxiv or formatting.NOTHING, paper)


def _stated(entry: AttentionSpec, host: str) -> str:
    return f"{entry.added_params[host]:,}" if host in entry.added_params else "not stated"


def _added(attention: AttentionSpec, host: str) -> str:
    """Return the learnable parameters that it adds to a host, or why it does not fit."""
    from torch import device

    from attnbench.counting.rules import parameters
    from attnbench.hosts import check_module
    from attnbench.hosts.build import build, default_size
    from attnbench.plugins.watch.integrity import InterferenceError

    image = (1, 3, *default_size(host))
    try:
        check_module.require_fit(attention, check_module.places(attention, host, image))
        with device("meta"):
            networks = build(host, attention), build(host)
    except InterferenceError:  # nor can it be tried in another host here
        raise
    except SettingsError as error:
        return f"{REFUSED}{error}"
    except Exception as error:
        return f"{REFUSED}{error_line(error)}"
    with_it, without = (parameters.count(network, ()).params or 0 for network in networks)
    return f"{with_it - without:,}"


def list_modules(module: CustomModules = None, timeout: Timeout = None) -> int:
    """List the modules: name, site, added learnable parameters, paper or package.

    Exit status 1 where one of them is refused.
    """
    caption = "Attention modules, and the learnable parameters that they add"
    console = output.console()
    with worker.time_limit(timeout):
        listed = list(rows(module or ()))
    console.print(output.table(caption, HEADINGS, listed, words=("site", "paper")))
    for remark in remarks():
        console.print(remark)
    refused = [row[0] for row in listed if any(cell.startswith(REFUSED) for cell in row[2:])]
    output.complain(*(f"{name} is refused; the table says why" for name in refused))
    return 1 if refused else 0
