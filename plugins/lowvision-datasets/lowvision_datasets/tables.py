"""A reader of tables of Arrow or Parquet files."""

from __future__ import annotations

import bisect
import functools
import itertools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lowvision import Reader


@dataclass(frozen=True)
class TableReader(Reader):
    """The rows of all files of a folder, or of one file; a key is `COLUMN#ROW`."""

    path: str

    def __str__(self) -> str:
        return self.path

    def columns(self) -> list[str]:
        """Return the names of the columns."""
        return [str(name) for name in _tables(self.path, os.getpid())[0].column_names]

    def rows(self) -> int:
        """Return the number of rows of all files."""
        return sum(int(table.num_rows) for table in _tables(self.path, os.getpid()))

    def read(self, key: str) -> bytes:
        column, _, row = key.rpartition("#")
        tables = _tables(self.path, os.getpid())
        ends = list(itertools.accumulate(table.num_rows for table in tables))
        number = bisect.bisect_right(ends, int(row))
        inside = int(row) - (ends[number - 1] if number else 0)
        value = tables[number].column(column)[inside].as_py()
        content = value.get("bytes") if isinstance(value, dict) else value
        if content is None and isinstance(value, dict) and value.get("path"):
            return (Path(self.path) / value["path"]).read_bytes()
        if not isinstance(content, bytes):
            raise KeyError(f"{key} holds no image file")
        return content


@functools.lru_cache(maxsize=16)
def _tables(path: str, process: int) -> tuple[Any, ...]:
    """Return the tables of all files, memory-mapped if they are Arrow files."""
    import pyarrow.ipc
    import pyarrow.parquet

    files = [Path(path)] if Path(path).is_file() else sorted(Path(path).rglob("*"))
    tables = []
    for file in files:
        if file.suffix == ".parquet":
            tables.append(pyarrow.parquet.read_table(file, memory_map=True))
        elif file.suffix == ".arrow":
            tables.append(_arrow(file))
    if not tables:
        raise OSError("holds no .arrow or .parquet file")
    return tuple(tables)


def _arrow(file: Path) -> Any:
    """Return the table of a file in Arrow's stream format, which `datasets` writes, or its file format."""
    import pyarrow

    source = pyarrow.memory_map(str(file))
    try:
        return pyarrow.ipc.open_stream(source).read_all()
    except pyarrow.ArrowInvalid:
        return pyarrow.ipc.open_file(source).read_all()
