"""What a network for texts has to beat: a linear support vector machine on character n-grams."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FOLDS = 5  # by which margins become probabilities
UNSEEN = 1e-3  # of a class with less than two training texts


def probabilities(
    train: Sequence[str], labels: Sequence[str], examples: Sequence[str], classes: Sequence[str]
) -> NDArray[np.float64]:
    """Fit on the training texts, answer the examples: (N, classes)."""
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import LinearSVC

    counts = Counter(labels)
    usable = {name for name, count in counts.items() if count >= 2}
    found: NDArray[np.float64] = np.full((len(examples), len(classes)), UNSEEN)
    if len(usable) < 2:  # nothing to tell apart
        for name in usable:
            found[:, classes.index(name)] = 1
        return _shares(found)
    rows = [row for row, label in enumerate(labels) if label in usable]
    folds = min(FOLDS, *(counts[name] for name in usable))
    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(2, 5), sublinear_tf=True, min_df=1)
    model = make_pipeline(vectorizer, CalibratedClassifierCV(LinearSVC(), cv=folds))
    model.fit([train[row] for row in rows], [labels[row] for row in rows])
    found[:, [classes.index(name) for name in model.classes_]] = model.predict_proba(list(examples))
    return _shares(found)


def _shares(found: NDArray[np.float64]) -> NDArray[np.float64]:
    total: NDArray[np.float64] = found.sum(axis=1, keepdims=True)
    return found / total
