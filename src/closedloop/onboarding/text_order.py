"""How far the end of a text, the monitor's reference, lies from what comes before, where the traffic is drawn."""

import math
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from closedloop.monitoring.two_sample import NUMBER, distance
from closedloop.onboarding.commented import Noted
from closedloop.onboarding.sections import CHECK
from closedloop.tasks.texts.descriptors import describe
from closedloop.tasks.texts.ngram_model import NGramModel
from closedloop.tasks.texts.request import texts

ROOM = 1.2  # of a limit above what was found
USUAL_DISTANCE, USUAL_RISE = 0.35, 0.1  # that parts of one text may be apart
MOST = 1000  # passages of a split that are looked at: of more, every so many


def order_limits(examples: pa.Table, splits: NDArray[np.str_]) -> dict[str, Any]:
    """The keys of `monitor` that have to allow what lies between the parts of this text anyway."""
    train, end, before = (_some(examples, splits == split) for split in ("train", "test", "production"))
    described = [describe(part) for part in (end, before)]
    apart = {name: distance(NUMBER, described[0][name], described[1][name]) for name in described[0].columns}
    farthest = max(apart, key=lambda name: apart[name])
    simple = NGramModel(train)
    nats = [float(simple.nats(part).mean()) for part in (end, before)]
    rise = nats[1] / max(nats[0], 1e-9) - 1
    end_is = f"{CHECK}: the end of the text, its test part, is"
    return {
        "min_effect_numeric": _limit(
            min(apart[farthest], 1 / ROOM),
            USUAL_DISTANCE,
            "a text has an order: one chapter differs from the next",
            f"{end_is} of another kind than the rest, by {farthest} most of all",
        ),
        "max_nats_rise": _limit(
            rise,
            USUAL_RISE,
            "of the mean surprise at a character, above that of the test part",
            f"{end_is} easier to tell than the rest, which surprises a simple model by {rise:.0%} more",
        ),
    }


def _some(examples: pa.Table, chosen: NDArray[np.bool_]) -> list[str]:
    found: list[str] = list(texts(examples.filter(pa.array(chosen))))
    return found[:: math.ceil(len(found) / MOST)]


def _limit(found: float, usual: float, note: str, beyond: str) -> Noted:
    limit = math.ceil(ROOM * found * 1000) / 1000
    return Noted(usual, note) if limit <= usual else Noted(limit, beyond)
