"""Training throughput of the pipeline's trainer against a bare PyTorch loop, side by side.

Same network, data, batch, precision, augmentation, optimizer, schedule and clipping. The two take turns, so that a
slower minute of a shared machine hits both; the figure is the median of the ratios. The training split is kept on the
device in both. python benchmarks/throughput.py [PAIRS] ; writes docs/benchmarks/throughput-<device>.json.
"""

import contextlib
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from machine import describe_machine
from safetensors.torch import save_file
from torch.nn import functional as F

from closedloop.composition import compose
from closedloop.config import Params, parse
from closedloop.files import write_json
from closedloop.learning import training
from closedloop.learning.optimization import build_optimizer, build_scheduler
from closedloop.learning.record import Nowhere
from closedloop.networks.augmentation import augment
from closedloop.networks.build import Input, build_network
from closedloop.paths import Paths

IMAGES = {"cpu": 12_800, "cuda": 512_000}  # an epoch of about three seconds on two cores; of a second on a large GPU
BATCH = {"cpu": 128, "cuda": 1024}


def main() -> None:
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    device = "cuda" if torch.cuda.is_available() else "cpu"
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        paths = Paths("mnist", Path(folder))
        write_images(paths, IMAGES[device])
        params = parse(compose("mnist", [f"trainer.batch_size={BATCH[device]}", "trainer.max_epochs=2"]), "conf")
        for number in range(pairs + 1):
            turns = [("trainer", by_trainer), ("bare", by_bare_loop)]
            seconds = {name: run(params, paths) for name, run in (turns if number % 2 else turns[::-1])}
            if number == 0:
                continue  # the first turn warms up
            rates = {name: IMAGES[device] / value for name, value in seconds.items()}
            rows.append({**rates, "ratio": rates["trainer"] / rates["bare"]})
            print(f"trainer {rates['trainer']:,.0f}  bare {rates['bare']:,.0f} images/s  ratio {rows[-1]['ratio']:.3f}")
    ratio = statistics.median(row["ratio"] for row in rows)
    result = {
        "device": device,
        "median_ratio": ratio,
        "median_images_per_second": {key: statistics.median(row[key] for row in rows) for key in ("trainer", "bare")},
        "batch_size": BATCH[device],
        "pairs": rows,
        "machine": describe_machine(),
        "command": f"python benchmarks/throughput.py {pairs}",
    }
    write_json(Path(os.environ.get("OUT", "docs/benchmarks")) / f"throughput-{device}.json", result)
    print(f"median ratio trainer / bare loop: {ratio:.3f}")


def write_images(paths: Paths, count: int) -> None:
    """Random images of MNIST's shape: the speed does not depend on what they show."""
    paths.tensors("train").parent.mkdir(parents=True)
    torch.manual_seed(0)
    for split, rows in (("train", count), ("validation", 256)):
        tensors = {"inputs": torch.randn(rows, 1, 28, 28), "targets": torch.randint(0, 10, (rows,))}
        save_file(tensors, paths.tensors(split))


class EpochClock(pl.Callback):
    """Seconds of the second epoch, device work included: the first one pays for start-up."""

    def __init__(self) -> None:
        self.started = self.seconds = 0.0

    def on_train_epoch_start(self, *_args: Any) -> None:
        _synchronize()
        self.started = time.perf_counter()

    def on_validation_start(self, *_args: Any) -> None:  # the training part of the epoch ends here
        _synchronize()
        self.seconds = time.perf_counter() - self.started


def by_trainer(params: Params, paths: Paths) -> float:
    """Seconds of an epoch by the pipeline's own training."""
    clock = EpochClock()
    build = training._trainer

    def with_clock(*arguments: Any) -> pl.Trainer:
        trainer = build(*arguments)
        trainer.callbacks.insert(0, clock)  # type: ignore[attr-defined]
        return trainer

    training._trainer = with_clock
    try:
        training.close_session(paths)
        training.save_session(training.open_session(params, paths), paths)
        with contextlib.redirect_stderr(Path(os.devnull).open("w")):
            training.fit(params, paths, Nowhere())
    finally:
        training._trainer = build
    return clock.seconds


def by_bare_loop(params: Params, paths: Paths) -> float:
    """Seconds of an epoch by a plain loop that does the same work on slices of the same tensors."""
    from safetensors.torch import load_file

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    tensors = {name: tensor.to(device) for name, tensor in load_file(paths.tensors("train")).items()}
    inputs, targets, size = tensors["inputs"], tensors["targets"], params.trainer.batch_size
    network = build_network(params.model, {"inputs": Input(tuple(inputs.shape[1:]))}, 10).to(device).train()
    optimizer = build_optimizer(network, params.optimizer)
    steps = -(-len(targets) // size)
    scheduler = build_scheduler(optimizer, params.scheduler, 2 * steps)
    bf16 = training.resolve_precision(params.trainer.precision, params.trainer.accelerator) == "bf16-mixed"
    seconds = 0.0
    for _epoch in range(2):
        _synchronize()
        started = time.perf_counter()
        for rows in torch.randperm(len(targets)).to(device).split(size):
            images = augment({"inputs": inputs[rows]}, params.augmentation)["inputs"]
            with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                loss = F.cross_entropy(network(images), targets[rows])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), params.optimizer.gradient_clip_norm)
            optimizer.step()
            scheduler.step()
        _synchronize()
        seconds = time.perf_counter() - started
    return seconds


def _synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
