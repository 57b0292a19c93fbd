"""Whether the registry still is as the last registration left it: asked at every `dvc repro`, so it must be quick."""

import hashlib
import json
from typing import Any

from closedloop.config import Params
from closedloop.files import read_json, sha256, sha256_tree, write_json
from closedloop.paths import Paths
from closedloop.registry.quick_look import quick_look


def current_receipt(params: Params, paths: Paths) -> dict[str, Any] | None:
    """The last receipt where model, evaluation and gate are unchanged and its version is there; None otherwise.

    A champion that was moved by hand since is written into it, so that the traffic goes through the new one.
    """
    file = paths.report("registration.json")
    if not file.is_file():
        return None
    receipt: dict[str, Any] = read_json(file)
    if receipt["digests"] != receipt_digests(params, paths):
        return None
    there, champion = quick_look(params, receipt["version"])
    if not there or champion is None:
        return None
    if champion != receipt["champion"]:
        receipt |= {"champion": champion, "summary": f"the champion is version {champion}, set by hand"}
        write_json(file, receipt)
    return receipt


def receipt_digests(params: Params, paths: Paths) -> dict[str, str]:
    """What the verdict depends on; the model's digest names its version in the registry."""
    model = hashlib.sha256((sha256(paths.model / "model.onnx") + sha256_tree(paths.preprocessor)).encode())
    evaluation = read_json(paths.report("evaluation.json"))
    evaluation.pop("serving")  # a latency differs at every measurement, and asks for no new verdict
    verdict = [evaluation, params.gate.model_dump(), sha256(paths.examples("test"))]
    return {
        "model": model.hexdigest(),
        "verdict": hashlib.sha256(json.dumps(verdict, sort_keys=True).encode()).hexdigest(),
    }
