"""How well a voice is understood that was never heard: python benchmarks/speakers.py [SEED]

Each of the six speakers of spoken_digits is left out in turn: the others' recordings train and validate, all of that
speaker's recordings test. Writes docs/benchmarks/speakers-spoken_digits.json.
"""

import os
import statistics
import sys
import tempfile
from pathlib import Path

from accuracy import interval, measure
from machine import describe_machine
from tqdm import tqdm

from closedloop.composition import compose
from closedloop.config import parse
from closedloop.files import write_json
from closedloop.paths import Paths

TASK = "spoken_digits"
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")


def main() -> None:
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    runs = []
    with tempfile.TemporaryDirectory() as folder:
        for speaker in SPEAKERS:
            overrides = [f"seed={seed}", f"source.format.test={{group: speaker, values: [{speaker}]}}"]
            found = measure(parse(compose(TASK, overrides), "conf"), Paths(TASK, Path(folder)))
            runs.append({"speaker": speaker, **found})
            print(runs[-1], flush=True)
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


if __name__ == "__main__":
    os.environ["TQDM_MININTERVAL"] = "5"
    tqdm.monitor_interval = 0
    main()
