"""Whether the stages' time and memory keep within bounds as a table grows: python benchmarks/scale.py [ROWS ...]

Generates tables of six numbers, three categories and a class, each in a project of its own, and runs acquire, validate,
preprocess and one epoch of train on them. Writes docs/benchmarks/scale.json: seconds, rows a second and the most memory
(GB) of each stage, and the most for a table of ten million rows.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import yaml
from machine import describe_machine

from closedloop.files import sha256, write_json

ROOT = Path(__file__).parents[1]
ROWS = (1_000_000, 10_000_000)
STAGES = ("acquire", "validate", "preprocess", "train")
BLOCK = 1_000_000  # rows that are generated at once
NUMBERS, CATEGORIES = [f"number_{place}" for place in range(6)], [f"category_{place}" for place in range(3)]
LIMIT = 4.0  # GB
OVERRIDES = ("model.hidden=[64]", "model.members=1", "trainer.max_epochs=1", "trainer.batch_size=8192")


def main() -> None:
    wanted = [int(rows) for rows in sys.argv[1:]] or list(ROWS)
    found = {str(rows): measure(rows) for rows in wanted}
    result = {
        "limit_gb": LIMIT,
        "tables": found,
        "machine": describe_machine(),
        "command": f"python benchmarks/scale.py {' '.join(map(str, wanted))}",
    }
    write_json(Path("docs/benchmarks/scale.json"), result)


def measure(rows: int) -> dict[str, Any]:
    """Seconds, rows a second and the most memory of each stage."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        generate(root / "table.csv", rows)
        (root / "conf").symlink_to(ROOT / "conf")
        configure(root, root / "table.csv")
        found = {stage: run(stage, root, rows) for stage in STAGES}
        found["file_mb"] = round((root / "table.csv").stat().st_size / 1e6)
    print(rows, found, flush=True)
    return found


def generate(path: Path, rows: int) -> None:
    """Numbers with three decimals, categories of twenty values, and a class that follows from the first number."""
    rng = np.random.default_rng(0)
    names = np.array([f"value {place}" for place in range(20)])
    writer = None
    for start in range(0, rows, BLOCK):
        count = min(BLOCK, rows - start)
        columns: dict[str, Any] = {name: np.round(rng.normal(0, 10, count), 3) for name in NUMBERS}
        columns |= {name: pa.array(names[rng.integers(20, size=count)]) for name in CATEGORIES}
        high = columns[NUMBERS[0]] + rng.normal(0, 5, count) > 0
        table = pa.table({**columns, "class": pa.array(np.where(high, "high", "low"))})
        writer = writer or pacsv.CSVWriter(path, table.schema)
        writer.write_table(table)
    assert writer is not None  # noqa: S101
    writer.close()


def configure(root: Path, table: Path) -> None:
    """params.yaml of a task that reads the table; as `make new` would write it, without its look at all of it."""
    from closedloop.composition import compose

    params = compose("adult", list(OVERRIDES))
    params["task"] |= {"name": "scale", "title": "rows that were generated", "classes": ["high", "low"]}
    file = {"name": "table.csv", "url": table.as_uri(), "sha256": sha256(table)}
    layout = {"name": "delimited"}
    parts = [{"split": "all", "file": "table.csv"}]
    params["source"] |= {
        "licence": "none",
        "homepage": table.as_uri(),
        "files": [file],
        "format": {
            **{"name": "table", "parts": parts, "layout": layout, "target": "class"},
            **{"numbers": NUMBERS, "categories": CATEGORIES},
        },
    }
    (root / "params.yaml").write_text(yaml.safe_dump(params))


def run(stage: str, root: Path, rows: int) -> dict[str, float]:
    """Run a stage in a process of its own."""
    before, started = os.environ.copy(), time.monotonic()
    process = subprocess.Popen([sys.executable, str(ROOT / "pipelines" / f"{stage}.py")], cwd=root, env=before)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{stage} failed on {rows:,} rows")
    seconds = time.monotonic() - started
    return {
        "seconds": round(seconds, 1),
        "rows_per_second": round(rows / seconds),
        "memory_gb": round(memory(used), 2),
    }


def memory(used: resource.struct_rusage) -> float:
    return used.ru_maxrss / 1e6  # kilobytes on Linux


if __name__ == "__main__":
    main()
