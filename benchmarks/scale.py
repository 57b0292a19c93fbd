"""Whether time and memory of the stages keep within bounds as data grow: python benchmarks/scale.py [table|array ROWS]

Generates tables of six numbers, three categories and a class, and arrays of 64x64 grey images, each in a project of its
own, and runs acquire, validate, preprocess and one epoch of train on them. Writes docs/benchmarks/scale.json: seconds,
rows a second and the most memory (GB) of each stage that is its own, without files that are mapped, which the system
takes back when it has other use for the room. Where the system lets it, a stage runs in a control group that is granted
no more than LIMIT of memory in all, files included, and `limited` says so.
"""

import re
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import yaml
from machine import describe_machine

from closedloop.composition import compose
from closedloop.files import read_json, sha256, write_json

ROOT = Path(__file__).parents[1]
STAGES = ("acquire", "validate", "preprocess", "train")
BLOCK = 1_000_000  # rows that are generated at once
NUMBERS, CATEGORIES = [f"number_{place}" for place in range(6)], [f"category_{place}" for place in range(3)]
LIMIT = 4.0  # GB
SIDE = 64  # of an image


def main() -> None:
    path = Path("docs/benchmarks/scale.json")
    chosen, sizes = sys.argv[1:2], [int(rows) for rows in sys.argv[2:]]
    result: dict[str, Any] = read_json(path) if chosen and path.is_file() else {}
    for form in chosen or FORMS:
        measured = {str(rows): measure(form, rows) for rows in sizes or FORMS[form].rows}
        command = f"python benchmarks/scale.py {form} {' '.join(measured)}"
        result[form] = {"rows": measured, "limit_gb": LIMIT, "machine": describe_machine(), "command": command}
        write_json(path, result)


def measure(form: str, rows: int) -> dict[str, Any]:
    """Seconds, rows a second and the most memory of each stage."""
    with tempfile.TemporaryDirectory(dir=ROOT / "work") as folder:
        root = Path(folder)
        file = root / FORMS[form].file
        FORMS[form].generate(file, rows)
        (root / "conf").symlink_to(ROOT / "conf")
        (root / "params.yaml").write_text(yaml.safe_dump(FORMS[form].configured(file)))
        found = {stage: run(stage, root, rows) for stage in STAGES}
        found["file_mb"] = round(file.stat().st_size / 1e6)
    print(form, rows, found, flush=True)
    return found


def generate_table(path: Path, rows: int) -> None:
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


def generate_array(path: Path, rows: int) -> None:
    """Images of noise, with a bright bar in the upper half or in the lower one, and which of them."""
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=rows)
    kind = {"descr": "|u1", "fortran_order": False, "shape": (rows, SIDE, SIDE)}
    with zipfile.ZipFile(path, "w") as archive:
        with archive.open("images.npy", "w", force_zip64=True) as file:
            np.lib.format.write_array_header_1_0(file, kind)
            for start in range(0, rows, BLOCK // 100):
                some = labels[start : start + BLOCK // 100]
                images = rng.integers(0, 64, (len(some), SIDE, SIDE), np.uint8)
                for label, place in enumerate((SIDE // 4, 3 * SIDE // 4)):
                    images[some == label, place : place + 4] += 128
                file.write(images.data)
        with archive.open("labels.npy", "w") as file:
            np.lib.format.write_array(file, labels)


def configured_table(file: Path) -> dict[str, Any]:
    """As `make new` would write it, without its look at all of the data."""
    form = {"name": "table", "layout": {"name": "delimited"}, "target": "class"}
    form |= {"parts": [{"split": "all", "file": file.name}], "numbers": NUMBERS, "categories": CATEGORIES}
    overrides = ("model.hidden=[64]", "model.members=1", "trainer.batch_size=8192")
    return configured(file, "adult", form, overrides)


def configured_array(file: Path) -> dict[str, Any]:
    part = {"split": "all", "file": file.name, "images": "images", "labels": "labels"}
    overrides = (
        "preprocess.production_share=0.1",
        "model.filters=[4]",
        "model.pooled_layers=1",
        "model.dense=[16]",
        "trainer.batch_size=512",
    )
    form = {"name": "image_arrays", "parts": [part]}
    return configured(file, "digits", form, (*overrides, "augmentation=none", "trainer.threads=0"))


def configured(file: Path, task: str, form: dict[str, Any], overrides: tuple[str, ...]) -> dict[str, Any]:
    """The parameters of a task like one of ours that learns two classes from the file."""
    params = compose(task, [*overrides, "trainer.max_epochs=1"])
    params["task"] |= {"name": "scale", "title": "generated", "classes": ["high", "low"]}
    files = [{"name": file.name, "url": file.as_uri(), "sha256": sha256(file)}]
    params["source"] = {
        **compose("mnist")["source"],
        **{"licence": "none", "homepage": file.as_uri(), "files": files, "format": form},
    }
    return params


class Form(NamedTuple):
    """One form of data: the file, how it is made, what reads it, and how many rows."""

    file: str
    generate: Callable[[Path, int], None]
    configured: Callable[[Path], dict[str, Any]]
    rows: tuple[int, ...]


FORMS = {
    "table": Form("table.csv", generate_table, configured_table, (1_000_000, 10_000_000)),
    "array": Form("array.npz", generate_array, configured_array, (122_100, 1_221_000)),  # 0.5 and 5 GB
}


def run(stage: str, root: Path, rows: int) -> dict[str, Any]:
    """Run a stage in a process of its own, where it can be in a control group of its own."""
    command = [sys.executable, str(ROOT / "pipelines" / f"{stage}.py")]
    group = control_group()
    if group:
        command = ["sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh", *command]
    started, before, most = time.monotonic(), cpu_seconds(), 0.0
    process = subprocess.Popen(command, cwd=root)
    while process.poll() is None:
        most = max(most, own_memory(process.pid))
        time.sleep(0.05)
    seconds = time.monotonic() - started
    if group:
        group.rmdir()
    if process.returncode:
        raise SystemExit(f"{stage} failed on {rows:,} rows")
    return {
        "seconds": round(seconds, 1),
        "rows_per_second": round(rows / seconds),
        "rows_per_cpu_second": round(rows / (cpu_seconds() - before)),
        "memory_gb": round(most, 2),
        "limited": group is not None,
    }


def cpu_seconds() -> float:
    """Of all processes that have ended: a busy machine changes them less than the seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def own_memory(process: int) -> float:
    """GB of a process that are not pages of files."""
    try:
        found = re.search(r"RssAnon:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    except OSError:  # it has just ended
        return 0.0
    return int(found[1]) / 1e6 if found else 0.0


def control_group() -> Path | None:
    """A new control group (Linux, version 1 or 2) that is granted LIMIT; None where there can be none."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, own = line.split(":", 2)
        if controllers not in ("memory", ""):
            continue
        parent = Path("/sys/fs/cgroup") / controllers
        group = parent / own.lstrip("/") / "closedloop-scale"
        limit = "memory.limit_in_bytes" if controllers else "memory.max"
        try:
            group.mkdir(exist_ok=True)
            (group / limit).write_text(str(int(LIMIT * 1e9)))
        except OSError:
            continue
        return group
    return None


if __name__ == "__main__":
    main()
