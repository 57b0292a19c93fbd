"""Trains the configured network to its end, however often the process is killed on the way."""

import csv
import hashlib
import json
import logging
import shutil
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, EarlyStopping, ModelCheckpoint
from safetensors.torch import load_file
from safetensors.torch import save as save_tensors
from torch import nn

from closedloop.config import Params
from closedloop.data.datamodule import PackedDataModule
from closedloop.data.tensors import TARGETS, read_cardinalities
from closedloop.errors import ConfigError, TrainingError
from closedloop.files import atomic, read_json, write_bytes, write_json
from closedloop.learning.export import answers, export_onnx
from closedloop.learning.influences import influences
from closedloop.learning.learners import Learner, learner_of
from closedloop.learning.precision import resolve_precision
from closedloop.learning.progress import Progress
from closedloop.learning.record import Record
from closedloop.learning.transfer import take_over, trunk
from closedloop.networks.build import Input, build_network
from closedloop.paths import Paths
from closedloop.targets import load_target

GOLDEN = 256  # validation examples whose answers by torch the packaged model must reproduce


@dataclass(frozen=True)
class Training:
    """What came out of a training run."""

    network: nn.Module  # with the best weights, in float32 on the CPU
    learner: Learner
    history: list[dict[str, float]]  # a row an epoch
    best: dict[str, float]  # the row of the epoch with the lowest val/loss
    facts: dict[str, Any]
    seconds: float  # of this process; a resumed run spent more


def open_session(params: Params, paths: Paths) -> dict[str, Any]:
    """The session of an unfinished run of exactly this training, or a fresh one with run_id None.

    What an unfinished run of another training left is deleted.
    """
    session = paths.unfinished / "session.json"
    digest = _digest(params, paths)
    if session.is_file():
        found: dict[str, Any] = read_json(session)
        if found["digest"] == digest:
            return found
    shutil.rmtree(paths.unfinished, ignore_errors=True)
    return {"digest": digest, "run_id": None}


def save_session(session: dict[str, Any], paths: Paths) -> None:
    write_json(paths.unfinished / "session.json", session)


def close_session(paths: Paths) -> None:
    """Forget the checkpoints: the outputs are written."""
    shutil.rmtree(paths.unfinished, ignore_errors=True)


def _digest(params: Params, paths: Paths) -> str:
    return hashlib.sha256(json.dumps(influences(params, paths), sort_keys=True).encode()).hexdigest()


def fit(params: Params, paths: Paths, record: Record) -> Training:
    """Train, or go on with what an unfinished run left in paths.unfinished; each epoch goes to the record.

    Raises TrainingError when the loss stops being a number, ConfigError when the hardware asked for is absent.
    """
    _quiet()
    pl.seed_everything(params.seed, verbose=False)
    if params.trainer.threads:
        torch.set_num_threads(params.trainer.threads)
    # deterministic algorithms are asked for below; filling fresh memory besides only finds bugs, and takes time
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # set by its module
    inputs = _inputs(paths.tensors("validation"))
    passage = next(iter(inputs.values())).shape[0] if inputs else 0
    learner = learner_of(load_target(paths.preprocessor), params, passage)
    torch.set_float32_matmul_precision("highest" if learner.exact else "high")
    data = PackedDataModule(
        paths.tensors("train"),
        paths.tensors("validation"),
        params.trainer.batch_size,
        params.seed,
        params.trainer.device_memory_share,
        steps=learner.steps,
    )
    network = build_network(params.model, learner.inputs(inputs), learner.width)
    taken = take_over(network, params.transfer) if params.transfer.chosen else 0
    module = learner.module(network, record, trunk(network) if params.transfer.frozen else ())
    trainer = _trainer(params, paths, exact=learner.exact, clipped=module.automatic_optimization)
    precision = str(trainer.precision)
    finished = paths.unfinished / "finished"
    started = time.monotonic()
    if finished.is_file():
        # killed between the last epoch and the outputs; an early-stopped run must not train one epoch more
        module.history = read_json(finished)
    else:
        if params.trainer.compile:
            module.network.compile()
        checkpoint = _readable(paths.unfinished / "last.ckpt")
        with _full_disk_told(paths):
            trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
        if trainer.interrupted:
            raise KeyboardInterrupt
        write_json(finished, module.history)
    seconds = time.monotonic() - started
    best_weights = torch.load(paths.unfinished / "best.ckpt", map_location="cpu", weights_only=True)["state_dict"]
    own = "network."  # a module may have more to remember than the network
    network.load_state_dict({name[len(own) :]: value for name, value in best_weights.items() if name.startswith(own)})
    best = min(module.history, key=lambda row: row["val/loss"])
    facts = {
        "epochs": len(module.history),
        "best_epoch": int(best["epoch"]),
        "parameters": sum(p.numel() for p in network.parameters()),
        "trained_parameters": sum(p.numel() for p in network.parameters() if p.requires_grad),
        "transfer": {**params.transfer.model_dump(), "tensors": taken} if taken else None,
        "inputs": {name: list(one.shape) for name, one in inputs.items()},
        "precision": precision,
        "device": str(trainer.strategy.root_device.type),
        "seed": params.seed,
    }
    return Training(network.eval().cpu().float(), learner, module.history, best, facts, seconds)


def save(training: Training, paths: Paths) -> None:
    """Write weights, ONNX model, torch's own answers on the first validation examples, the history and the facts."""
    tensors = load_file(paths.tensors("validation"))
    targets = tensors.pop(TARGETS)
    inputs = {name: tensor[:GOLDEN] for name, tensor in tensors.items()}
    served = training.learner.served(training.network, tensors, targets)
    export_onnx(served, inputs, paths.model / "model.onnx")
    write_bytes(paths.model / "weights.safetensors", save_tensors(training.network.state_dict()))
    golden = {"answers": answers(served, inputs)}
    write_bytes(paths.model / "golden.safetensors", save_tensors(golden))
    with atomic(paths.report("history.csv")) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(training.history[0]))
        writer.writeheader()
        writer.writerows(training.history)
    write_json(paths.model / "training.json", {**training.facts, "best": training.best})


def _inputs(tensors: Path) -> dict[str, Input]:
    """What each input of a file of tensors holds for one example."""
    cardinalities = read_cardinalities(tensors)
    return {
        name: Input(tuple(tensor.shape[1:]), tuple(cardinalities.get(name, ())))
        for name, tensor in load_file(tensors).items()
        if name != TARGETS
    }


def _trainer(params: Params, paths: Paths, *, exact: bool, clipped: bool) -> pl.Trainer:
    """`exact`: in float32; `clipped`: it clips gradients, which a module that steps by itself does on its own."""
    settings = params.trainer
    if settings.accelerator == "gpu" and not torch.cuda.is_available():
        raise ConfigError("trainer.accelerator is gpu, but torch sees no CUDA device; set it to auto or cpu")
    callbacks: list[Callback] = [Progress()]
    if settings.early_stopping.patience:
        stopping = settings.early_stopping
        callbacks.append(EarlyStopping("val/loss", patience=stopping.patience, min_delta=stopping.min_delta))
    # the last one is written last: it then holds the state of all others
    for name, monitor in (("best", "val/loss"), ("last", None)):
        callbacks.append(
            ModelCheckpoint(
                paths.unfinished,
                filename=name,
                monitor=monitor,
                save_top_k=1,
                save_on_train_epoch_end=True,
                enable_version_counter=False,
            )
        )
    return pl.Trainer(
        max_epochs=settings.max_epochs,
        accelerator=settings.accelerator,
        devices=1,
        precision="32-true" if exact else resolve_precision(settings.precision, settings.accelerator),
        gradient_clip_val=(clipped and params.optimizer.gradient_clip_norm) or None,
        callbacks=callbacks,
        logger=False,
        deterministic=True,
        num_sanity_val_steps=0,
        reload_dataloaders_every_n_epochs=1,  # a new order each epoch
        enable_model_summary=False,
        enable_progress_bar=False,  # the bar of its own above
        enable_autolog_hparams=False,
        default_root_dir=paths.unfinished,
    )


@contextmanager
def _full_disk_told(paths: Paths) -> Iterator[None]:
    """torch reports a checkpoint that it cannot write as a RuntimeError without the system's reason."""
    try:
        yield
    except RuntimeError as error:
        if "PytorchStreamWriter" not in str(error) and "inline_container" not in str(error):
            raise
        raise TrainingError(
            f"a checkpoint could not be written to {paths.unfinished}: is the disk full, or read-only? "
            "Mend that and run again; training goes on after the last epoch that was kept"
        ) from error


def _readable(checkpoint: Path) -> Path | None:
    """The checkpoint to go on from; one that a crash left damaged is deleted, and training starts anew."""
    if not checkpoint.is_file():
        return None
    try:
        epoch = torch.load(checkpoint, map_location="cpu", weights_only=True)["epoch"] + 1
    except Exception as error:  # torch raises many kinds for a damaged file
        print(f"{checkpoint} is damaged ({type(error).__name__}): training starts from the beginning")
        checkpoint.unlink()
        return None
    print(f"going on after epoch {epoch} of an unfinished run")
    return checkpoint


def _quiet() -> None:
    """Silence advice that does not apply here; warnings about the training itself stay."""
    for name in ("pytorch_lightning.utilities.rank_zero", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*Checkpoint directory .* exists and is not empty.*")
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
