"""Whether the registry still is as the last registration left it: asked at every `dvc repro`, so it must be quick."""

import hashlib
import json
from pathlib import Path
from typing import Any

import closedloop
from closedloop.config import Params
from closedloop.errors import DataError
from closedloop.files import read_json, sha256, write_json
from closedloop.paths import Paths
from closedloop.registry.quick_look import quick_look
from closedloop.registry.watch import model_digest

PACKAGE = Path(closedloop.__file__).parent
JUDGES = (  # another judge, another verdict
    "evaluation/answers.py",
    "evaluation/assessment.py",
    "evaluation/comparison.py",
    "evaluation/control.py",
    "evaluation/gate.py",
    "evaluation/generation.py",
    "evaluation/intervals.py",
    "evaluation/judge.py",
    "evaluation/likeness.py",
    "evaluation/metrics.py",
    "evaluation/numbers.py",
    "evaluation/outcome_report.py",
    "evaluation/outcomes.py",
    "evaluation/parts.py",
    "evaluation/predictions.py",
    "evaluation/wording.py",
    "registration.py",
)


def current_receipt(params: Params, paths: Paths) -> dict[str, Any] | None:
    """The last receipt where model, evaluation and gate are unchanged and its version is there; None otherwise.

    A champion that was moved since, by hand or on live traffic, is written into it, so that the traffic goes through
    the new one.
    """
    file = paths.report("registration.json")
    if not file.is_file() or not paths.report("model_card.md").is_file():
        return None
    try:
        receipt: dict[str, Any] = read_json(file)
    except DataError:  # a damaged receipt is none: it stands for nothing that could not be found out again
        return None
    digests = receipt_digests(params, paths)
    if not isinstance(receipt, dict) or receipt.get("digests") != digests:
        return None
    there, champion = quick_look(params, receipt["version"], digests["model"])
    if not there or champion is None:
        return None
    if champion != receipt["champion"]:
        reason = f"the champion is version {champion}, set by hand or on live traffic (`make models`)"
        receipt |= {"champion": champion, "verdict": "by hand", "reasons": [reason], "summary": reason}
        write_json(file, receipt)
    return receipt


def receipt_digests(params: Params, paths: Paths) -> dict[str, str]:
    """What the verdict depends on; the model's digest names its version in the registry."""
    evaluation = read_json(paths.report("evaluation.json"))
    serving = evaluation.pop("serving")
    verdict = [
        evaluation,
        # the latency itself differs at every measurement, and asks for no new verdict
        serving["size_bytes"],
        serving["latency_ms_p95"] <= params.gate.max_latency_ms,
        params.gate.model_dump(),
        sha256(paths.examples("test")),
        read_json(paths.report("preprocess.json"))["parts"],  # which data the version is said to know of
        [sha256(PACKAGE / file) for file in JUDGES],
    ]
    return {
        "model": model_digest(paths.model / "model.onnx", paths.preprocessor),
        "verdict": hashlib.sha256(json.dumps(verdict, sort_keys=True).encode()).hexdigest(),
    }
