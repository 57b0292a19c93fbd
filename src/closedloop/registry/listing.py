"""The registered versions as a table."""

import time

from closedloop.config import Params
from closedloop.registry.aliases import BY_HAND, ROLLED_BACK, champion_version, moves, versions
from closedloop.registry.store import CHALLENGER, CHAMPION, connect, tracking_uri, translated
from closedloop.registry.watch import alias_version

SCORE = "score"  # tag of a version: the metric that it is known by, which stands in a tag of its own
BEFORE = ("accuracy", "mae", "nats", "energy_score", "return")  # of versions that were registered without that tag


def list_versions(params: Params) -> str:
    """One line a version, the latest first: alias, time, score, the gate's verdict and its first reason."""
    client, name = connect(params), params.task.name
    with translated(tracking_uri(params)):
        champion, challenger = champion_version(client, name), alias_version(params, CHALLENGER)
        found = versions(client, name)
        history = moves(client, name) if found else []
    if not found:
        return f"no version of {name} is registered yet; `make run` trains and registers one"
    by_hand = history[-1].reason if history and history[-1].reason.startswith((BY_HAND, ROLLED_BACK)) else ""
    aliases = {challenger: CHALLENGER, champion: CHAMPION}
    lines = [f"{'version':>7}  {'alias':12}{'registered (UTC)':18}{'score':>20}  {'gate':9}reason"]
    for version in found:
        tags, is_champion = version.tags, int(version.version) == champion
        reason = f"{by_hand}; the gate: {tags.get('reason', '')}" if is_champion and by_hand else tags.get("reason", "")
        lines.append(
            f"{version.version:>7}  {aliases.get(int(version.version), ''):12}"
            f"{time.strftime('%Y-%m-%d %H:%M', time.gmtime(version.creation_timestamp / 1000)):18}"
            f"{_score(tags):>20}  {tags.get('verdict', '?'):9}{reason}"
        )
    return "\n".join(lines)


def _score(tags: dict[str, str]) -> str:
    metric = tags.get(SCORE) or next((name for name in BEFORE if name in tags), "")
    return f"{metric} {tags[metric]}" if metric in tags else "?"
