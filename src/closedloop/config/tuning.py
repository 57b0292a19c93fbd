"""The section about the search for better values of the configuration."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from closedloop.section import Positive, Section, Share


class Tune(Section):
    trials: Positive = 30  # in all: a search that is run again goes on to this number
    jobs: Positive = 1  # trials at the same time, each in a process with its share of the threads
    seed: Annotated[int, Field(ge=0)] = 0  # of the sampler; with one job the search is the same each time
    metric: Annotated[str, Field(pattern=r"^val/\w+$")] = "val/loss"  # in the epoch whose weights are kept
    goal: Literal["minimize", "maximize"] = "minimize"
    pruner: Literal["median", "hyperband", "none"] = "median"  # ends trials that fall behind the others
    warmup_share: Share = 0.2  # of the epochs, before which none is ended
    repeats: Annotated[int, Field(ge=0)] = 5  # trainings of the best and of the configured values, to tell the gain
    # by key, as in the configuration: {low, high, log, step} for a number, {choice: [...]} for anything
    space: dict[str, Any] = {}

    @model_validator(mode="after")
    def _spread(self) -> Self:
        if self.repeats == 1:
            raise ValueError("repeats must be 0 or at least 2: a single difference has no interval")
        return self
