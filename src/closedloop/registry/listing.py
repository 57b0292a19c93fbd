"""The registered versions as a table."""

import time

from closedloop.config import Params
from closedloop.registry.aliases import champion_version, versions
from closedloop.registry.store import connect, tracking_uri, translated


def list_versions(params: Params) -> str:
    """One line a version, the latest first: alias, time, score, the gate's verdict and its first reason."""
    client, name = connect(params), params.task.name
    with translated(tracking_uri(params)):
        champion, found = champion_version(client, name), versions(client, name)
    if not found:
        return f"no version of {name} is registered yet; `make run` trains and registers one"
    lines = [f"{'version':>7}  {'alias':9}{'registered (UTC)':18}{'accuracy':>9}  {'gate':9}reason"]
    for version in found:
        tags = version.tags
        lines.append(
            f"{version.version:>7}  {'champion' if int(version.version) == champion else '':9}"
            f"{time.strftime('%Y-%m-%d %H:%M', time.gmtime(version.creation_timestamp / 1000)):18}"
            f"{tags.get('accuracy', '?'):>9}  {tags.get('verdict', '?'):9}{tags.get('reason', '')}"
        )
    return "\n".join(lines)
