"""The evaluation of a generator of images: what it makes beside real images, in the eyes of a classifier."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from closedloop.config import Evaluation
from closedloop.evaluation.figures import BLUE, GREY, page, short
from closedloop.evaluation.intervals import Interval, basic, wilson
from closedloop.evaluation.judge import Judge
from closedloop.evaluation.likeness import among, energy_scores, frechet, nearest
from closedloop.evaluation.outcome_report import mean
from closedloop.evaluation.outcomes import ENERGY, Outcomes
from closedloop.serving.predictor import Predictor
from closedloop.tasks.images.generator import GeneratorPreprocessor
from closedloop.tasks.images.pictures import tiled
from closedloop.tasks.images.request import pixels

Images = NDArray[np.uint8]
AT_ONCE = 128  # images that are made in one run of the model
REDRAWN = 100  # resamples of the Fréchet distance, each of which costs as much as the distance itself
COMPARED = 2000  # images whose nearest training image is looked for
SHOWN, PAIRS = 10, 12  # rows and columns of the picture of samples; images beside their neighbours
CLOSE = 0.01  # share of the real images that lie closer to a training image than a copy is taken to


@dataclass(frozen=True)
class Sample:
    """Images, and how the judge sees them."""

    images: Images
    features: NDArray[np.float64]
    classes: NDArray[np.intp]

    @classmethod
    def of(cls, images: Images, judge: Judge) -> "Sample":
        return cls(images, *judge.look(images))

    @cached_property
    def flat(self) -> NDArray[np.float64]:
        """The pixels of the first images, from 0 to 1."""
        return _flat(self.images[:COMPARED])


def made_by(predictor: Predictor, count: int, seed: int) -> Images:
    """So many images of noise of its own."""
    preprocessor = predictor.preprocessor
    assert isinstance(preprocessor, GeneratorPreprocessor)  # noqa: S101  its target says so
    noise = np.random.default_rng(seed).standard_normal((count, preprocessor.noise)).astype(np.float32)
    step = predictor.stepping()
    return np.concatenate([preprocessor.images(noise[at : at + AT_ONCE], step) for at in range(0, count, AT_ONCE)])


@dataclass(frozen=True)
class Evidence:
    """What the figures rest on; without the training images nothing can be told of copies."""

    real: Sample
    made: Sample
    judge: Judge
    training: Images | None


def judged(images: Images, examples: pa.Table, judge: Judge, training: Images | None = None) -> Outcomes:
    """How far what was made is from each of the real images."""
    real, made = Sample.of(pixels(examples), judge), Sample.of(images, judge)
    scores, noise = energy_scores(real.features, made.features)
    return Outcomes.of(examples, scores, ENERGY, Evidence(real, made, judge, training), noise=noise)


def headline(found: Outcomes, config: Evaluation) -> dict[str, Interval]:
    """energy_score, frechet, precision and recall; the share of the rarest class in what is made, and of copies."""
    evidence: Evidence = found.evidence
    real, made = evidence.real, evidence.made
    rarest = int(np.bincount(made.classes, minlength=len(evidence.judge.classes)).min())
    return {
        ENERGY: mean(found, config),
        "frechet": frechet_distance(real.features, made.features, config),
        "precision": _share(among(made.features, real.features), config),
        "recall": _share(among(real.features, made.features), config),
        "rarest_class": _share(np.arange(len(made.classes)) < rarest, config),
        "copied": _share(_copied(evidence), config),
    }


def _share(hits: NDArray[np.bool_], config: Evaluation) -> Interval:
    low, high = wilson(hits.sum(), len(hits), config.confidence)
    return Interval(float(hits.mean()), float(low), float(high), "Wilson score")


def frechet_distance(real: NDArray[np.float64], made: NDArray[np.float64], config: Evaluation) -> Interval:
    """The distance of features (N, K) and (M, K); few of them raise it, and resampling raises it once more."""
    rng = np.random.default_rng(config.seed)

    def drawn(features: NDArray[np.float64]) -> NDArray[np.float64]:
        return features[rng.integers(len(features), size=len(features))]

    resampled = np.array([frechet(drawn(real), drawn(made)) for _ in range(REDRAWN)])
    return basic(frechet(real, made), resampled, config.confidence)


def _copied(evidence: Evidence) -> NDArray[np.bool_]:
    """Which of what is made lies closer to a training image than all but a hundredth of the real test images do."""
    assert evidence.training is not None  # noqa: S101  `evaluate` gives them
    flat = _flat(evidence.training)
    usual = np.quantile(nearest(evidence.real.flat, flat)[1], CLOSE)
    copied: NDArray[np.bool_] = nearest(evidence.made.flat, flat)[1] < usual
    return copied


def facts(evidence: Evidence, contents: str) -> dict[str, Any]:
    """What the headline is to be read beside: how far real images are from each other, and who has judged.

    `contents` is the digest of the test images: a judge that was itself tested on them has not learnt them.
    """
    kept = evidence.judge.tested_on == contents
    real, made, judge = evidence.real, evidence.made, evidence.judge
    assert evidence.training is not None  # noqa: S101  `evaluate` gives them
    others, _ = judge.look(evidence.training[: len(real.images)])
    counts = np.bincount(made.classes, minlength=len(judge.classes))
    return {
        "judge": {"name": judge.name, "version": judge.version, "kept_from_test_images": kept},
        "made": len(made.images),
        "frechet_of_training_images": frechet(real.features, others),
        "made_classes": {name: float(n / counts.sum()) for name, n in zip(judge.classes, counts, strict=True)},
    }


def samples(found: Outcomes, report: dict[str, Any], path: Path) -> None:
    """What the model makes, without a choice: the first images."""
    metrics = report["metrics"]
    subtitle = (
        f"Fréchet distance {metrics['frechet']['value']:.3g}, precision {metrics['precision']['value']:.0%}, recall "
        f"{metrics['recall']['value']:.0%}; not chosen"
    )
    with page(path, 8, 8.4, "What it makes", subtitle) as figure:
        axes = figure.subplots(1, 1)
        axes.set_axis_off()
        axes.imshow(tiled(found.evidence.made.images[: SHOWN**2], SHOWN), cmap="gray", vmin=0, vmax=255)


def neighbours(found: Outcomes, path: Path) -> None:
    """What the model makes, each above the training image that is nearest to it: a copy would be the same."""
    evidence: Evidence = found.evidence
    assert evidence.training is not None  # noqa: S101  `evaluate` gives them
    made = evidence.made.images[:PAIRS]
    rows, far = nearest(evidence.made.flat[:PAIRS], _flat(evidence.training))
    subtitle = "above what was made, below the training image with the nearest pixels, and their distance"
    with page(path, 11, 3.2, "Is it copied?", subtitle) as figure:
        panels = figure.subplots(2, len(made), squeeze=False)
        for column, (image, row, distance) in enumerate(zip(made, rows, far, strict=True)):
            for axes, shown in zip(panels[:, column], (image, evidence.training[row]), strict=True):
                axes.set_axis_off()
                axes.imshow(shown, cmap="gray", vmin=0, vmax=255)
            panels[1, column].set_title(f"{distance:.2f}", fontsize=8, color=GREY, loc="center")


def made_classes(report: dict[str, Any], path: Path) -> None:
    """The share of each class in what is made, as the judge sees it."""
    shares, name = report["made_classes"], report["judge"]["name"]
    subtitle = f"of {report['made']:,} images, as version {report['judge']['version']} of {name} sees them"
    with page(path, 8, 4, "What it makes, by class", subtitle) as figure:
        axes = figure.subplots()
        axes.bar(range(len(shares)), list(shares.values()), color=BLUE)
        axes.axhline(1 / len(shares), color=GREY, linewidth=1, linestyle=(0, (4, 3)))
        axes.set_xticks(
            range(len(shares)), [short(name, 12) for name in shares], rotation=90 if len(shares) > 12 else 0
        )
        axes.set(ylabel="share")


def _flat(images: Images) -> NDArray[np.float64]:
    return images.reshape(len(images), -1) / np.float64(255)
