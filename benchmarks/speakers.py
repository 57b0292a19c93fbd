"""How well a voice is understood that was never heard: python benchmarks/speakers.py [SEED]

Each of the six speakers of spoken_digits is left out in turn: the others' recordings train and validate, all of that
speaker's recordings test. As many run at once as there are cores, each with one thread.
Writes docs/benchmarks/speakers-spoken_digits.json.
"""

import os
import statistics
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from accuracy import interval, measure
from machine import describe_machine

from closedloop.composition import compose
from closedloop.config import parse
from closedloop.files import write_json
from closedloop.paths import Paths

TASK = "spoken_digits"
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")


def main() -> None:
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        runs = list(pool.map(without, SPEAKERS, [seed] * len(SPEAKERS)))
    scores = [run["test_accuracy"] for run in runs]
    baselines = [run["baseline_accuracy"] for run in runs]
    low, high = interval(scores)
    result = {
        "task": TASK,
        "mean_test_accuracy": statistics.mean(scores),
        "interval_95": [low, high],  # Student's t over the speakers: where the mean over other speakers may lie
        "worst_speaker": min(scores),
        "mean_baseline_accuracy": statistics.mean(baselines),
        "longest_seconds": max(run["seconds"] for run in runs),
        "runs": runs,
        "machine": describe_machine(),
        "command": f"python benchmarks/speakers.py {seed}",
    }
    write_json(Path("docs/benchmarks") / f"speakers-{TASK}.json", result)
    print(f"{TASK}: a new voice {statistics.mean(scores):.2%} ({low:.2%} to {high:.2%}) over {len(scores)} speakers")


def without(speaker: str, seed: int) -> dict[str, Any]:
    """Train on all others, test on the speaker."""
    overrides = [f"seed={seed}", f"source.format.test={{group: speaker, values: [{speaker}]}}"]
    with tempfile.TemporaryDirectory() as folder:
        found = measure(parse(compose(TASK, overrides), "conf"), Paths(TASK, Path(folder)))
    print(speaker, found, flush=True)
    return {"speaker": speaker, **found}


if __name__ == "__main__":
    os.environ["TQDM_DISABLE"] = "1"
    main()
