"""Sections about training."""

from typing import Annotated, Literal

from pydantic import Field

from closedloop.section import Positive, Section, Share


class Optimizer(Section):
    name: Literal["adamw", "sgd"]
    lr: Annotated[float, Field(gt=0, le=100)]
    weight_decay: Annotated[float, Field(ge=0)] = 0
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9  # of sgd; adamw uses beta1 = 0.9
    gradient_clip_norm: Annotated[float, Field(ge=0)] = 0  # 0: off


class Scheduler(Section):
    name: Literal["one_cycle", "cosine", "constant"]
    warmup_share: Annotated[float, Field(ge=0, lt=1)] = 0.3  # of all steps; rising part of one_cycle and cosine


class EarlyStopping(Section):
    patience: Annotated[int, Field(ge=0)] = 0  # epochs without a better val/loss; 0: off
    min_delta: Annotated[float, Field(ge=0)] = 0


class Trainer(Section):
    max_epochs: Positive
    batch_size: Positive
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    precision: Literal["auto", "32", "bf16"] = "auto"
    threads: Annotated[int, Field(ge=0)] = 0  # of the CPU; 0: one a core
    compile: bool = False
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0
    early_stopping: EarlyStopping = EarlyStopping()
    device_memory_share: Share = 0.5  # a split that takes at most this share of the device's free memory stays there
