"""Sections about training."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from closedloop.section import Positive, Section, Share


class Optimizer(Section):
    name: Literal["adamw", "sgd"]
    lr: Annotated[float, Field(gt=0, le=100)]
    weight_decay: Annotated[float, Field(ge=0)] = 0
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9  # of sgd; beta1 of adamw
    gradient_clip_norm: Annotated[float, Field(ge=0)] = 0  # 0: off


class Scheduler(Section):
    name: Literal["one_cycle", "cosine", "constant"]
    warmup_share: Annotated[float, Field(ge=0, lt=1)] = 0.3  # of all steps; rising part of one_cycle and cosine


NO_WEIGHTS = "conf/transfer/none.yaml"  # DVC depends on the file that is named, and this one is always there


class Transfer(Section):
    """Weights of another training to start from, all but those of the last layers."""

    weights: str = NO_WEIGHTS  # a file of a network with the same layers up to the last ones
    frozen: bool = False  # only the last layers learn; also the trunk's batch statistics stay as they are

    @property
    def chosen(self) -> bool:
        return self.weights != NO_WEIGHTS

    @model_validator(mode="after")
    def _of_something(self) -> Self:
        if self.chosen and not self.weights.endswith(".safetensors"):
            raise ValueError(f"weights is {self.weights!r}; it must end with .safetensors, or transfer=none")
        if self.frozen and not self.chosen:
            raise ValueError("frozen asks for weights: with random ones a frozen trunk learns nothing")
        return self


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
