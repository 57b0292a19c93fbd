"""The drill's story: a clean day, a world that changes, an alarm, labels, a new model, a bad one, and the way back."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from closedloop.config import Params
from closedloop.data.examples import labels, read_examples
from closedloop.drill.client import Client, free_port
from closedloop.drill.project import DrillProject
from closedloop.drill.report import Phase, Report, score
from closedloop.errors import ClosedLoopError, DataError
from closedloop.evaluation.answers import answers_of
from closedloop.files import read_json, write_json
from closedloop.paths import Paths
from closedloop.prediction_log.clock import SECOND
from closedloop.prediction_log.reading import SETTLED
from closedloop.serving.predictor import Predictor
from closedloop.targets import load_target
from closedloop.tasks import get_task

BATCH = 50  # examples in a request
DRIFT = 3  # the exit code of a check that has found drift
WORSE = "trainer.max_epochs=1"  # a model that has learnt next to nothing


def drill(params: Params, seed: int) -> Report:
    """Run the drill for a task; write reports/<task>/drill.json; return what it saw.

    Raises ClosedLoopError when a command or the server fails: the drill's project is kept, with its log.
    """
    name, config = params.task.name, params.drill
    project = DrillProject.copy(Path(), Path("work") / "drill" / name)
    print(f"a drill for {name}: {config.scenario} at severity {config.severity}, seed {seed}; log: {project.log}\n")
    report = Report()
    started = time.monotonic()
    outcome: dict[str, Any] = {}
    try:
        outcome = _Drill(params, project, report, seed).run()
    finally:
        content = {
            "task": name,
            "scenario": config.scenario,
            "severity": config.severity,
            "seed": seed,
            "passed": report.passed and bool(outcome),
            "seconds": round(time.monotonic() - started, 1),
            **outcome,
            "phases": report.to_json(),
        }
        write_json(Paths(name).report("drill.json"), content)
    return report


@dataclass
class _Drill:
    params: Params
    project: DrillProject
    report: Report
    seed: int

    def run(self) -> dict[str, Any]:
        config, name = self.params.drill, self.params.task.name
        paths = Paths(name, self.project.root)
        with self.report.phase("train and register", "version 1 is the champion") as phase:
            self.project.run(
                "run", "--task", name, f"seed={self.seed}", f"preprocess.seed={self.seed}", *config.overrides
            )
            self._gate(phase, paths, promoted=True)
        # before anything else changes the files: how the first model would have done on what came later
        first = Predictor.load(paths.model / "model.onnx", paths.preprocessor)
        clean, shifted, later, later_clean = self._traffic(paths)
        with self._server() as client:
            with self.report.phase("clean traffic", "no alarm") as phase:
                self._send(client, clean, phase)
                self._check(phase, paths, "clean")
            unlabelled: list[tuple[str, str]] = []
            for number, window in enumerate(shifted, 1):
                with self.report.phase(f"shifted traffic, window {number}", "an alarm") as phase:
                    unlabelled += self._send(client, window, phase, feedback=False)
                    self._check(phase, paths, "drift")
            with self.report.phase("labels arrive", f"{len(unlabelled)} accepted") as phase:
                pairs = [{"id": found, "label": label} for found, label in unlabelled]
                answer = client.ask("POST", "/feedback", {"labels": pairs})
                phase.seen = f"{answer['accepted']} accepted"
                phase.passed = answer["accepted"] == len(unlabelled)
            with self.report.phase("retrain", "a new champion") as phase:
                self.project.run("retrain")
                champion = self._gate(phase, paths, promoted=True)
                if not phase.passed:  # all that follows needs the new champion
                    raise ClosedLoopError(phase.seen)
            with self.report.phase("the server follows", f"version {champion}, without a restart") as phase:
                client.wait_for_version(champion)
                phase.version, phase.passed = champion, True
                phase.seen = f"serves version {champion}"
            with self.report.phase("shifted traffic again", "no alarm, quality back") as phase:
                self._send(client, later, phase)
                self._check(phase, paths, "clean")
                recovery = self._recovery(phase, first, later_clean, later)
            with self.report.phase("a worse model", "refused") as phase:
                self.project.run("run", WORSE)
                self._gate(phase, paths, promoted=False)
                phase.passed &= client.ask("GET", "/model")["version"] == champion
            with self.report.phase("roll back", "version 1 again, also on the server") as phase:
                self.project.run("rollback")
                client.wait_for_version(1)
                phase.version, phase.seen, phase.passed = 1, "version 1 answers", True
        return {"recovery": recovery}

    @contextmanager
    def _server(self) -> Iterator[Client]:
        port = free_port()
        server = self.project.start("serve", "--port", str(port))
        try:
            with self.report.phase("start the server", "ready") as phase:
                client = Client(port)
                client.wait_until_ready(server)
                phase.version = client.ask("GET", "/model")["version"]
                phase.seen, phase.passed = f"ready on 127.0.0.1:{port}", True
            yield client
        finally:
            server.terminate()
            server.wait(timeout=30)
        if server.returncode != 0:
            raise ClosedLoopError(f"the server ended with code {server.returncode}; see {self.project.log}")

    def _traffic(self, paths: Paths) -> tuple[pa.Table, list[pa.Table], pa.Table, pa.Table]:
        """A clean window, two shifted ones, and the later traffic both shifted and as it was; no example twice."""
        config, pool = self.params.drill, read_examples(paths.examples("production"))
        rows, needed = config.window, 4 * config.window
        if pool.num_rows < needed:
            raise DataError(
                f"the drill needs {needed} production examples (4 x drill.window), there are {pool.num_rows}; "
                "raise preprocess.production_share in drill.overrides"
            )
        rng = np.random.default_rng(self.seed)
        order = rng.permutation(pool.num_rows)
        task = get_task(self.params.task.kind)

        def part(start: int, stop: int) -> pa.Table:
            return pool.take(pa.array(order[start:stop]))

        def shift(examples: pa.Table) -> pa.Table:
            return task.shift(examples, config.scenario, config.severity, rng)

        later = part(3 * rows, min(pool.num_rows, 5 * rows))
        return part(0, rows), [shift(part(rows, 2 * rows)), shift(part(2 * rows, 3 * rows))], shift(later), later

    def _send(
        self, client: Client, examples: pa.Table, phase: Phase, *, feedback: bool = True
    ) -> list[tuple[str, str]]:
        """Ask about all examples; write score and version into the phase; return (prediction id, true label)."""
        task = get_task(self.params.task.kind)
        records = task.load_preprocessor(self._paths.preprocessor).encode(examples)
        answers: list[dict[str, Any]] = []
        for start in range(0, len(records), BATCH):
            body = {"examples": records[start : start + BATCH]}
            answers += client.ask("POST", "/predict", body)["predictions"]
        target, truth = load_target(self._paths.preprocessor), labels(examples)
        phase.score = score(answers_of(examples, np.array([target.row(answer) for answer in answers]), target))
        phase.version = answers[-1]["version"]
        pairs = [(answer["id"], label) for answer, label in zip(answers, truth, strict=True)]
        if feedback:
            client.ask("POST", "/feedback", {"labels": [{"id": found, "label": label} for found, label in pairs]})
        return pairs

    @property
    def _paths(self) -> Paths:
        return Paths(self.params.task.name, self.project.root)

    def _check(self, phase: Phase, paths: Paths, expected: str) -> None:
        """Let the monitor judge what has been logged since the last check."""
        time.sleep(SETTLED / SECOND + 0.5)
        self.project.run("monitor", "traffic=log", f"traffic.window={self.params.drill.window}", allowed=(0, DRIFT))
        judged = read_json(paths.report("drift.json"))
        phase.verdict, phase.window = judged["verdict"], judged["window"]
        why = f": {judged['reasons'][0]}" if judged["reasons"] else ""
        phase.seen, phase.passed = f"{judged['verdict']}{why}", judged["verdict"] == expected

    def _gate(self, phase: Phase, paths: Paths, *, promoted: bool) -> int:
        """Read the gate's verdict; return the version of the challenger."""
        receipt = read_json(paths.report("registration.json"))
        version: int = receipt["version"]
        phase.version, phase.verdict = receipt["champion"], receipt["verdict"]
        phase.seen = f"version {version} {receipt['verdict']}: {receipt['reasons'][0]}"
        phase.passed = (receipt["champion"] == version) == promoted and (receipt["verdict"] == "promoted") == promoted
        return version

    def _recovery(self, phase: Phase, first: Predictor, clean: pa.Table, shifted: pa.Table) -> dict[str, Any]:
        """What the shift had cost the first model on the later examples, and how much of it is back."""
        before, under_shift = (
            score(answers_of(examples, first.answers(examples), first.target)) for examples in (clean, shifted)
        )
        assert phase.score is not None  # noqa: S101  _send has set it
        cost = before["value"] - under_shift["value"]
        if cost * (-1 if before["metric"] == "mae" else 1) <= 0:
            raise DataError(
                f"the drill proves nothing: {self.params.drill.scenario} at severity {self.params.drill.severity} has "
                f"cost the first model no {before['metric']}; raise drill.severity or choose another drill.scenario"
            )
        back = (phase.score["value"] - under_shift["value"]) / cost
        phase.seen += f"; {back:.0%} of what the shift had cost is back"
        phase.passed &= back >= self.params.drill.min_recovered
        return {
            "first_model_clean": before,
            "first_model_shifted": under_shift,
            "new_model_shifted": phase.score,
            "recovered": back,
        }
