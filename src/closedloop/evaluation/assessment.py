"""What a model is judged by: what it tells of examples, or what comes of what it does."""

import numpy as np
import pyarrow as pa

from closedloop.config import Params
from closedloop.evaluation import control, generation
from closedloop.evaluation.answers import Answers, answers_of
from closedloop.evaluation.judge import Judge
from closedloop.evaluation.outcomes import RETURN, Outcomes
from closedloop.serving.predictor import Predictor
from closedloop.targets import Action, Image, Target
from closedloop.tasks.base import Baseline
from closedloop.tasks.images.request import pixels


def assess(
    predictor: Predictor, examples: pa.Table, params: Params, judge: Judge | None, training: pa.Table | None = None
) -> Answers:
    """Ask a model about the examples, or see what it makes; without the training examples nothing is told of copies.

    Raises DataError as `answers_of` does.
    """
    if isinstance(predictor.target, Image):
        made = generation.made_by(predictor, examples.num_rows, params.evaluation.seed)
        shown = None if training is None else pixels(training)
        assert judge is not None  # noqa: S101  the configuration asks for one where images are made
        return generation.judged(made, examples, judge, shown)
    if isinstance(predictor.target, Action):
        return control.judged(predictor, examples, params.evaluation.seed)
    return answers_of(examples, predictor.answers(examples), predictor.target)


def seen(predictor: Predictor, examples: pa.Table, params: Params) -> pa.Table:
    """The examples that a model would be asked about: those themselves, unless it acts and sees what comes of that."""
    if isinstance(predictor.target, Action):
        return control.visited(predictor, examples, params.evaluation.seed)
    return examples


def assess_baseline(
    baseline: Baseline, examples: pa.Table, target: Target, judge: Judge | None, training: pa.Table
) -> Answers:
    """The same for what a baseline has answered, or made."""
    if isinstance(target, Image):
        made = baseline.rows.reshape(-1, *pixels(examples).shape[1:]).astype(np.uint8)
        assert judge is not None  # noqa: S101  as above
        return generation.judged(made, examples, judge, pixels(training))
    if isinstance(target, Action):
        return Outcomes.of(examples, baseline.rows.reshape(-1), RETURN)
    return answers_of(examples, baseline.rows, target)
