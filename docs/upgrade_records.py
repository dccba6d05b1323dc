"""Rewrite ``records.jsonl`` of schema 2 or 3, which were never released, to schema 4, in place.

python docs/upgrade_records.py FOLDER...

Only the form changes: every record is read back as it was.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from attnbench.errors import UserError
from attnbench.records.schema import OLDEST
from attnbench.records.store import FILE_NAME, RECORDS, changed, read

OLD = (2, 3)

SINCE_SCHEMA_3 = {
    **dict.fromkeys(("compiled", "cuda_graph", "isolated"), False),
    "stages": [1, 2, 3, 4],
    "blocks": "all",
}
"""What a case of schema 2 may not state: its modules are in every block."""


def upgrade(folder: Path) -> None:
    """Rewrite the file of a folder: beside it first, read back, then renamed.

    Raises:
        UserError: there is no file, or it is not of an older schema, or of several runs.
    """
    path = folder / FILE_NAME
    try:
        old = [json.loads(line) for line, _ in RECORDS.lines(folder)]
        new = list(upgraded(old))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: not records of schema 2 or 3 ({error!r})") from error
    with TemporaryDirectory(dir=folder) as beside:
        text = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in new)
        (Path(beside) / FILE_NAME).write_text(text, encoding="utf-8")
        read(Path(beside))
        (Path(beside) / FILE_NAME).replace(path)


def upgraded(lines: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the lines as schema 4 has them.

    Raises:
        ValueError: a line of another schema, or of another configuration than the first.
    """
    first = lines[0] if lines else {}
    for number, line in enumerate(lines, 1):
        if line["schema"] not in OLD:
            raise ValueError(f"line {number}: schema {line['schema']}")
        if line["case"] != first["case"]:
            raise ValueError(f"line {number}: another configuration than line 1")
        shared = ("schema", "case", "environment")
        own = without_nulls({key: line[key] for key in line if key not in shared})
        if number == 1:
            case = line["case"] | SINCE_SCHEMA_3 | line["case"]
            yield {"schema": OLDEST, "case": case, **own, "environment": line["environment"]}
        else:
            yield own | {"environment": changed(first["environment"], line["environment"])}


def without_nulls(data: Any) -> Any:
    """Return the data without the keys that hold null, at any depth."""
    if isinstance(data, dict):
        return {key: without_nulls(value) for key, value in data.items() if value is not None}
    return [without_nulls(value) for value in data] if isinstance(data, list) else data


def main(folders: Sequence[str]) -> int:
    """Upgrade the folders; return the exit status."""
    if not folders:
        print("usage: python docs/upgrade_records.py FOLDER...", file=sys.stderr)
        return 2
    for folder in map(Path, folders):
        before = (folder / FILE_NAME).stat().st_size if (folder / FILE_NAME).is_file() else 0
        try:
            upgrade(folder)
        except UserError as error:
            print(f"upgrade_records: {error}", file=sys.stderr)
            return 2
        print(f"{folder}: {before:,} -> {(folder / FILE_NAME).stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
