"""``attnbench list``: the table, what packages offer, and the modules that were asked for.

Without the latter, nothing is loaded: neither torch nor a package.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from importlib.util import find_spec
from typing import Annotated

from attnbench import formatting
from attnbench.cli import output
from attnbench.cli.options import (
    CustomModules,
    ImportRoot,
    Timeout,
    imported_from,
    option,
    stated,
)
from attnbench.cli.placement import cases
from attnbench.errors import UserError
from attnbench.host_names import default_size
from attnbench.modules import ATTENTION, AttentionSpec, SettingsError
from attnbench.plugins import entry_points, timm
from attnbench.plugins.constructor import ConstructorError
from attnbench.plugins.host_reference import is_custom, parse_host
from attnbench.plugins.resolve import ModuleReference, origins, parse
from attnbench.records.case import OPTIONS, Case
from attnbench.records.image_size import of as image_size_of
from attnbench.records.image_size import option as image_size_option
from attnbench.records.image_size import sides
from attnbench.records.variants import STAGES
from attnbench.system import worker
from attnbench.text import error_line

HOSTS = tuple(dict.fromkeys(host for row in ATTENTION.values() for host in row.added_params))
"""Hosts for which the table states added parameters."""

REFUSED = "refused: "

Row = tuple[str, ...]


def headings(hosts: Collection[Case]) -> tuple[str, ...]:
    """Return the table's headings; a host is followed by what is not its default."""
    return ("module", "site", *map(_heading, hosts), "arXiv", "paper")


def _heading(case: Case) -> str:
    size = image_size_option(case.image_size)
    usual = image_size_option(image_size_of(*default_size(case.host)))
    is_usual = size == usual and not is_custom(case.host)
    parts = [f"in {case.host}", *([] if is_usual else [size])]
    if case.stages != STAGES:
        parts.append(f"stages {','.join(map(str, case.stages))}")
    return ", ".join([*parts, *(["last blocks"] if case.blocks == "last" else [])])


def rows(custom: Collection[str] = (), hosts: Collection[Case] = ()) -> Iterator[Row]:
    """Return a row for each module; custom ones are loaded, checked and put into all hosts.

    Without ``hosts`` these are those of the table, which then states what its own modules add.

    Raises:
        SettingsError: the name of one of them cannot be read, or its file is not there.
        UserError: a custom host cannot be built.
    """
    origin_of = origins(map(parse, custom))  # their names are known and their files there
    places = hosts or cases(HOSTS, None, None, None)
    counted = [_of_table(case) for case in hosts]
    for number, entry in enumerate(ATTENTION.values()):
        stated = [_stated(entry, case.host) for case in places]
        yield _row(entry, [column[number] for column in counted] or stated)
    for name in custom:
        module = parse(name)
        yield _custom(module, origin_of.get(module.name), places)
    for offered in entry_points.offered():
        if offered.name not in custom:
            unknown = [formatting.NOTHING] * (2 + len(places))
            yield (offered.name, *unknown, entry_points.origin(offered))


def remarks() -> Iterator[str]:
    """Yield what else can be asked for, in sentences."""
    missing = "" if find_spec("timm") else "; it is not installed: pip install -e '.[timm]'"
    yield f"timm:NAME for {', '.join(timm.NAMES)} (of timm{missing})."
    yield "path/to/file.py:ClassName for a class in a file."
    names = [f"{entry.name} of {entry_points.origin(entry)}" for entry in entry_points.shadowed()]
    if names:
        yield f"Cannot be selected, because their names are reserved: {', '.join(names)}."


def _custom(module: ModuleReference, origin: str | None, places: Collection[Case]) -> Row:
    from attnbench.hosts import check_module

    try:
        return check_module.in_subprocess(_loaded, module, origin, places)
    except UserError as error:  # the others are listed all the same
        why = str(error).removeprefix(f"{module.name} is refused: ")
        return _refused(module, why, origin, places)


def _loaded(module: ModuleReference, origin: str | None, places: Collection[Case]) -> Row:
    try:
        attention = module.load()
    except ConstructorError as error:
        return _refused(module, str(error), origin, places)
    return _row(attention, [_added(attention, case) for case in places], origin)


def _refused(
    module: ModuleReference, why: str, origin: str | None, places: Collection[Case]
) -> Row:
    nothing = formatting.NOTHING
    return (module.name, nothing, *[f"{REFUSED}{why}"] * len(places), nothing, origin or "")


def _row(entry: AttentionSpec, added: Iterable[str], origin: str | None = None) -> Row:
    paper = f"{entry.title}, {origin}" if origin else entry.title
    return (entry.name, entry.site, *added, entry.arxiv or formatting.NOTHING, paper)


def _stated(entry: AttentionSpec, host: str) -> str:
    return f"{entry.added_params[host]:,}" if host in entry.added_params else "not stated"


def _of_table(case: Case) -> list[str]:
    """Return what each module of the table adds; a custom host is built in a child process."""
    from attnbench.hosts import check_host

    return check_host.called(_counted_in, parse_host(case.host), case)


def _counted_in(case: Case) -> list[str]:
    return [_counted(entry, case) for entry in ATTENTION.values()]


def _counted(entry: AttentionSpec, case: Case) -> str:
    """Return the learnable parameters that a module of the table adds, or why it does not fit."""
    try:
        return f"{_added_params(entry, case):,}"
    except (SettingsError, ValueError) as error:
        return f"does not fit: {error_line(error) if type(error) is ValueError else error}"


def _added(attention: AttentionSpec, case: Case) -> str:
    """Return the learnable parameters that it adds to a host, or why it is refused there."""
    from attnbench.hosts import check_module
    from attnbench.hosts.placement.choice import Choice
    from attnbench.plugins.watch.integrity import InterferenceError

    image = (1, 3, *sides(case.image_size))
    try:
        where = check_module.places(attention, case.host, image, Choice.of(case))
        check_module.require_fit(attention, where)
        return f"{_added_params(attention, case):,}"
    except InterferenceError:  # nor can it be tried in another host here
        raise
    except SettingsError as error:
        return f"{REFUSED}{error}"
    except Exception as error:
        return f"{REFUSED}{error_line(error)}"


def _added_params(attention: AttentionSpec, case: Case) -> int:
    from torch import device

    from attnbench.counting.rules import parameters
    from attnbench.hosts.build import build

    with device("meta"):
        size = sides(case.image_size)
        chosen = build(case.host, attention, stages=case.stages, blocks=case.blocks, size=size)
        networks = chosen, build(case.host)
    with_it, without = (parameters.count(network, ()).params or 0 for network in networks)
    return with_it - without


def list_modules(  # noqa: PLR0913, PLR0917  an option each
    module: CustomModules = None,
    import_root: ImportRoot = None,
    host: Annotated[str | None, option("NAME,...", OPTIONS["host"].help, ",".join(HOSTS))] = None,
    image_size: Annotated[str | None, stated("image_size")] = None,
    stages: Annotated[str | None, stated("stages")] = None,
    blocks: Annotated[str | None, stated("blocks")] = None,
    timeout: Timeout = None,
) -> int:
    """List the modules: name, site, added learnable parameters, paper or package.

    In the hosts of the table, or where the options of run of the same names say. Exit status 1
    where a module is refused.
    """
    caption = "Attention modules, and the learnable parameters that they add"
    console = output.console()
    chosen = any(value is not None for value in (host, image_size, stages, blocks))
    places = cases(host.split(",") if host else HOSTS, image_size, stages, blocks)
    with worker.time_limit(timeout):
        custom = imported_from(module, import_root) or ()
        listed = list(rows(custom, places if chosen else ()))
    console.print(output.table(caption, headings(places), listed, words=("site", "paper")))
    for remark in remarks():
        console.print(remark)
    refused = [row[0] for row in listed if any(cell.startswith(REFUSED) for cell in row[2:])]
    output.complain(*(f"{name} is refused; the table says why" for name in refused))
    return 1 if refused else 0
