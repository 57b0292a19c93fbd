"""The drill on digits over seeds and scenarios: does the alarm come, and how much of the lost accuracy comes back?

python benchmarks/drill.py [SEEDS] ; writes docs/benchmarks/drill.json. Each drill is a process of its own.
"""

import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from machine import describe_machine

from closedloop.files import read_json, write_json

# those that hide what a digit is and do not destroy it, as noise, occlusion, blur and rotation do with 8x8 pixels
SCENARIOS = {"contrast": 4, "inversion": 5, "mirroring": 5}


def main() -> None:
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    drills = [one(scenario, severity, seed) for scenario, severity in SCENARIOS.items() for seed in range(seeds)]
    result = {
        "drills": drills,
        "passed": sum(drill["passed"] for drill in drills),
        "recovered_least": min(drill["recovered"] for drill in drills),
        "recovered_median": statistics.median(drill["recovered"] for drill in drills),
        "seconds_longest": max(drill["seconds"] for drill in drills),
        "machine": describe_machine(),
        "command": f"python benchmarks/drill.py {seeds}",
    }
    write_json(Path("docs/benchmarks/drill.json"), result)
    print({key: value for key, value in result.items() if key not in ("drills", "machine")})


def one(scenario: str, severity: int, seed: int) -> dict[str, Any]:
    """One drill, with the figures that matter."""
    command = [sys.executable, "-m", "closedloop.cli", "drill", "--seed", str(seed)]
    command += ["--scenario", scenario, "--severity", str(severity)]
    subprocess.run(command, check=False)
    report = read_json(Path("reports/digits/drill.json"))
    recovery = report.get("recovery", {})
    return {
        **{key: report[key] for key in ("scenario", "severity", "seed", "passed", "seconds")},
        "recovered": recovery.get("recovered", 0.0),
        **{name: recovery.get(name) for name in ("first_model_clean", "first_model_shifted", "new_model_shifted")},
        "failed": [phase["name"] for phase in report["phases"] if not phase["passed"]],
    }


if __name__ == "__main__":
    main()
