"""Which batches of labels are not learnt from: taken for poisoned, or too small."""

from typing import Any

from closedloop.config import Retraining

LEAST_SURE = 20  # answers given with great confidence, below which their share of contradictions says nothing


def refusal(counts: dict[str, Any], config: Retraining, *, believed: bool) -> str:
    """Why the labels with these counts are not learnt from; empty where they are.

    `believed`: a person vouches for labels that contradict what the model was sure of.
    """
    contradicting = "" if believed else _contradicting(counts, config)
    return _poisoned(counts, config) or _too_few(counts, config) or contradicting


def _poisoned(counts: dict[str, Any], config: Retraining) -> str:
    """Why the batch is not believed: too many labels cannot be learnt from; empty where it is."""
    limit, bad = config.max_quarantined_share, sum(counts["quarantined"].values())
    judged = counts["labels"] - counts["without_input"]
    if bad <= limit * judged:
        return ""
    return (
        f"the new labels are taken for poisoned: {bad:,} of {judged:,} cannot be learnt from, more than a share of "
        f"{limit:g} (retraining.max_quarantined_share). {_quarantined(counts)}. "
        f"{counts['quarantine']} names each. Send the right labels for them, which replace these; neither the data "
        "nor the champion was changed"
    )


def _contradicting(counts: dict[str, Any], config: Retraining) -> str:
    """Why the batch is not believed: it says otherwise where the model was sure; empty where it is."""
    limit, sure = config.max_contradicted_share, counts["confident"]
    if sure["answers"] < LEAST_SURE or sure["share"] <= limit:
        return ""
    return (
        f"the new labels are taken for poisoned: {sure['contradicted']:,} of the {sure['answers']:,} answers given "
        f"with great confidence are contradicted, more than a share of {limit:g} (retraining.max_contradicted_share). "
        "Look at some of them. Send the right labels where they are wrong, which replace these; where they are right, "
        "`make retrain ARGS=--force` learns from them. Neither the data nor the champion was changed"
    )


def _too_few(counts: dict[str, Any], config: Retraining) -> str:
    """Why there is too little to learn from; empty where there is enough."""
    if counts["used"] >= config.min_labels:
        return ""
    bad, reasons = sum(counts["quarantined"].values()), _quarantined(counts)
    return (
        f"{counts['used']:,} of {counts['labels']:,} new labels add something to learn from, at least "
        f"{config.min_labels:,} are needed (retraining.min_labels): {counts['known']:,} are of content that "
        f"the data hold already, {counts['duplicates']:,} are copies, {counts['without_input']:,} came without their "
        f"input (log.inputs, log.pseudonymised), {bad:,} are quarantined{f' ({reasons})' if reasons else ''}. "
        "Wait for more labels"
    )


def _quarantined(counts: dict[str, Any]) -> str:
    return "; ".join(f"{count:,}: {reason}" for reason, count in counts["quarantined"].items())
