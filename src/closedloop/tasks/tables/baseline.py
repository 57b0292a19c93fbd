"""The baselines that a network for tables has to beat."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from closedloop.data.examples import labels
from closedloop.targets.number import as_numbers
from closedloop.tasks.base import Baseline
from closedloop.tasks.tables.preprocessor import RAREST

MOST_CATEGORIES = 254  # of one column: the bins that the trees have; rarer ones share the last
FOLDS = 5


def gradient_boosting(train: pd.DataFrame, examples: pa.Table, asked: pd.DataFrame, classes: list[str]) -> Baseline:
    """Histogram gradient boosting with categories as such and missing values sent their own way.

    Ke et al., "LightGBM", 2017, as scikit-learn has it, stopped early on a tenth of the training rows.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    categories = [name for name in train.columns if train[name].dtype == object]
    known = {name: list(train[name].value_counts().index[:MOST_CATEGORIES]) for name in categories}

    def coded(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(**{name: pd.Categorical(frame[name], known[name]) for name in categories})

    model = HistGradientBoostingClassifier(
        categorical_features="from_dtype", learning_rate=0.06, max_iter=400, early_stopping=True, random_state=0
    ).fit(coded(train), labels(examples))
    probabilities = np.full((len(asked), len(classes)), 1e-6)
    probabilities[:, [classes.index(str(name)) for name in model.classes_]] += model.predict_proba(coded(asked))
    return Baseline("gradient boosting", probabilities / probabilities.sum(axis=1, keepdims=True))


def number(train: pd.DataFrame, examples: pa.Table, asked: pd.DataFrame, coverage: float) -> Baseline:
    """Ridge regression or histogram gradient boosting, whichever errs less in cross-validation on the training rows.

    The interval has one width: the quantile of the absolute errors that cross-validation has seen (Barber et al., 2021,
    "Predictive inference with the jackknife+", in its simple form).
    """
    from sklearn.model_selection import cross_val_predict

    truth = as_numbers(labels(examples))
    models = {"ridge regression": _ridge(train), "gradient boosting": _boosting(train)}
    errors = {name: np.abs(truth - cross_val_predict(model, train, truth, cv=FOLDS)) for name, model in models.items()}
    name = min(errors, key=lambda name: float(errors[name].mean()))
    value = models[name].fit(train, truth).predict(asked)
    reach = np.quantile(errors[name], coverage)
    return Baseline(name, np.stack([value, value - reach, value + reach], axis=1))


def _ridge(train: pd.DataFrame) -> Any:
    """Numbers scaled and categories one-hot, missing values filled in and told; the penalty by cross-validation."""
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    categories = [name for name in train.columns if train[name].dtype == object]
    numbers = [name for name in train.columns if name not in categories]
    gaps = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    encoder = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=RAREST)
    columns = make_column_transformer((make_pipeline(gaps, StandardScaler()), numbers), (encoder, categories))
    return make_pipeline(columns, RidgeCV(alphas=np.logspace(-3, 5, 25)))


def _boosting(train: pd.DataFrame) -> Any:
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    categories = [name for name in train.columns if train[name].dtype == object]
    codes = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=np.nan, max_categories=MOST_CATEGORIES, min_frequency=RAREST
    )
    columns = make_column_transformer((codes, categories), remainder="passthrough", verbose_feature_names_out=False)
    boosting = HistGradientBoostingRegressor(
        categorical_features=list(range(len(categories))),
        learning_rate=0.06,
        max_iter=400,
        early_stopping=True,
        random_state=0,
    )
    return make_pipeline(columns, boosting)
