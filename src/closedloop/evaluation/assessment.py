"""What a model is judged by: what it tells of examples, or what comes of what it does."""

import numpy as np
import pyarrow as pa

from closedloop.config import Params
from closedloop.data.examples import read_examples
from closedloop.evaluation import control, generation
from closedloop.evaluation.answers import Answers, answers_of
from closedloop.evaluation.judge import Judge
from closedloop.evaluation.outcomes import RETURN, Outcomes
from closedloop.paths import Paths
from closedloop.serving.predictor import Predictor
from closedloop.targets import Action, Image, Target
from closedloop.tasks.base import Baseline
from closedloop.tasks.images.request import pixels


def assess(
    predictor: Predictor, examples: pa.Table, params: Params, judge: Judge | None, training: pa.Table | None = None
) -> Answers:
    """Ask a model about the examples, or see what it makes; without the training examples nothing is told of copies.

    Raises DataError as `answers_of` does, ConfigError where images are made and there is no judge.
    """
    if isinstance(predictor.target, Image):
        made = generation.made_by(predictor, examples.num_rows, params.evaluation.seed)
        shown = None if training is None else pixels(training)
        return generation.judged(made, examples, generation.require_judge(judge), shown)
    if isinstance(predictor.target, Action):
        return control.judged(predictor, examples, params.evaluation.seed)
    return answers_of(examples, predictor.answers(examples), predictor.target)


def seen(predictor: Predictor, examples: pa.Table, params: Params) -> pa.Table:
    """The examples that a model would be asked about: those themselves, unless it acts and sees what comes of that."""
    if isinstance(predictor.target, Action):
        return control.visited(predictor, examples, params.evaluation.seed)
    return examples


def assess_baseline(
    baseline: Baseline, examples: pa.Table, target: Target, paths: Paths, judge: Judge | None
) -> Answers:
    """The same for what a baseline has answered, or made."""
    if isinstance(target, Image):
        made = baseline.rows.reshape(-1, *pixels(examples).shape[1:]).astype(np.uint8)
        training = pixels(read_examples(paths.examples("train")))
        return generation.judged(made, examples, generation.require_judge(judge), training)
    if isinstance(target, Action):
        return Outcomes.of(examples, baseline.rows[:, 0], RETURN)
    return answers_of(examples, baseline.rows, target)
