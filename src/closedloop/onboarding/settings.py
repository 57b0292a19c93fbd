"""conf/task/<task>.yaml: settings that fit the number of examples, with notes on what is the user's to decide."""

import math
from typing import Any

from closedloop.onboarding.commented import Noted
from closedloop.onboarding.proposal import Asked, Proposal
from closedloop.onboarding.sections import CHECK

WATCHED = 120  # examples that production should have: monitor.min_rows is 100
FEW = 2000  # examples from which a number is told by a small network
SMALL = 20_000  # examples below which a second thread only waits


def task_content(asked: Asked, proposal: Proposal) -> dict[str, Any]:
    """The task's configuration beside its defaults list."""
    content: dict[str, Any] = {
        "task": {
            "name": asked.task,
            "kind": proposal.kind,
            "title": Noted(proposal.title, f"{CHECK}: as reports are to call it"),
            **_target(proposal),
        },
        **({} if proposal.target == "text" else _of_examples(proposal)),
    }
    for section, settings in proposal.settings.items():
        content[section] = {**content.get(section, {}), **settings}
    return content


def defaults(proposal: Proposal) -> list[str]:
    """The defaults list of the task: which parts of conf/ it starts from."""
    return ["override /source: null  # the section below is all of it", *_PARTS[proposal.kind, proposal.target]]


def _of_examples(proposal: Proposal) -> dict[str, Any]:
    """The sections that fit examples with a class or a number each."""
    examples = sum(proposal.classes.values())
    return {
        "validation": _validation(proposal),
        "preprocess": {
            "test_share": 0.2,
            "validation_share": 0.1,
            "production_share": Noted(_production_share(examples), "plays the traffic; never trained on"),
        },
        "model": _model(proposal, examples),
        "optimizer": {"lr": 0.002, **({"weight_decay": 0.03} if proposal.kind == "tables" else {})},
        "trainer": _trainer(proposal.kind, examples),
        "gate": _gate(proposal, examples),
        "drill": {"scenario": _DRILLS[proposal.kind]},
    }


def _target(proposal: Proposal) -> dict[str, Any]:
    if proposal.target == "text":
        return {}  # its settings say it, with what is doubtful about it
    if proposal.number:
        coverage = Noted(0.9, "share of the true numbers that the intervals are to hold")
        return {"target": Noted("number", f"{CHECK}: {proposal.number}"), "coverage": coverage}
    classes = list(proposal.classes)
    return {"classes": Noted(classes, "of two, curves and areas are about the second" if len(classes) == 2 else "")}


def _gate(proposal: Proposal, examples: int) -> dict[str, Any]:
    if proposal.number:
        return {
            "min_r2": Noted(0.0, f"{CHECK}: share of the variance that is explained; the mean alone explains none"),
            "max_mae": Noted(None, f"{CHECK}: the largest mean absolute error that your use can bear"),
            "max_parity_error": 0.001,
        }
    largest = max(proposal.classes.values()) / examples
    always = 2 * largest / (1 + largest) / len(proposal.classes)
    return {
        "min_accuracy": Noted(
            _down(largest), f"{CHECK}: the most frequent class has so large a share: ask for what your use needs"
        ),
        "min_macro_f1": Noted(_down(always), f"{CHECK}: what always naming that class would have"),
        "min_class_recall": Noted(0.0, f"{CHECK}: the least share of each class that has to be found"),
        "max_calibration_error": 0.2,
    }


_MLP = ["override /model: mlp", "override /scheduler: cosine"]
_PARTS = {
    ("images", "classes"): ["override /augmentation: affine"],
    ("tables", "classes"): _MLP,
    ("tables", "number"): [*_MLP, "override /gate: number"],
    ("texts", "classes"): [
        "override /preprocess: texts",
        "override /model: text_lstm",
        "override /augmentation: token_dropout",
    ],
    ("texts", "text"): [
        "override /preprocess: characters",
        "override /model: char_lstm",
        "override /scheduler: cosine",
        "override /gate: text",
    ],
    ("sounds", "classes"): [
        "override /preprocess: log_mel",
        "override /model: cnn_gru",
        "override /augmentation: spectrogram",
    ],
}
_DRILLS = {"images": "contrast", "tables": "inflation", "texts": "obfuscation", "sounds": "telephone"}


def _validation(proposal: Proposal) -> dict[str, Any]:
    examples = sum(proposal.classes.values())
    found: dict[str, Any] = {}
    if proposal.left_out:
        lacking = sum(proposal.left_out.values())
        names = ", ".join(f"{name!r} {count}" for name, count in list(proposal.left_out.items())[:5])
        what = "no number" if proposal.number else "none of the classes"
        found["max_unknown_label_share"] = Noted(
            _up(lacking / (examples + lacking)), f"{CHECK}: left out, as they are {what}: {names}"
        )
    if proposal.number:
        return found
    ratio = max(proposal.classes.values()) / min(proposal.classes.values())
    if ratio > 10:
        found["max_class_ratio"] = Noted(
            math.ceil(1.5 * ratio), f"{CHECK}: the largest class has {ratio:.0f} times the examples of the smallest"
        )
    return found


def _model(proposal: Proposal, examples: int) -> dict[str, Any]:
    """From few rows a smooth function of the numbers is learnt; finer ones fit what is chance."""
    if proposal.kind != "tables" or examples >= SMALL:
        return {}
    if proposal.number and examples < FEW:
        straight = Noted(0.05, "few rows: nearly straight lines; conf/model/mlp.yaml has 6")
        return {"hidden": [32], "dropout": 0.2, "number_width": 8, "frequencies": 8, "frequency_scale": straight}
    scale = 0.1 if examples < 3000 else 1.0
    return {"frequency_scale": Noted(scale, "few rows: smooth in the numbers; conf/model/mlp.yaml has 6")}


def _production_share(examples: int) -> float:
    """A sixth, more where that would be too few to watch, and little where few are many."""
    return round(min(0.3, max(WATCHED / examples, 0.15 if examples < SMALL else 0.05)), 2)


def _trainer(kind: str, examples: int) -> dict[str, Any]:
    """Epochs and batches so that the network takes enough steps, and few enough to be waited for."""
    steps = {"images": 1200, "tables": 1500, "texts": 800, "sounds": 800}[kind]
    largest, longest = {
        "images": (128, 40),
        "tables": (512, 60),
        "texts": (32, 20),
        "sounds": (64, 40),
    }[kind]
    batch = min(largest, max(16, 2 ** round(math.log2(max(1, examples / 50)))))
    epochs = min(longest, max(6, round(steps * batch / examples)))
    return {
        "max_epochs": Noted(epochs, "raise it where the loss still falls at the end (make plots)"),
        "batch_size": batch,
        **({"precision": "32"} if kind == "tables" else {}),
        **({"threads": 1} if examples < SMALL else {}),
    }


def _down(share: float) -> float:
    return math.floor(share * 100) / 100


def _up(share: float) -> float:
    return math.ceil(share * 100) / 100
