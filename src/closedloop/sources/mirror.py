"""A folder or url that stands in for every published source: CLOSEDLOOP_MIRROR."""

import os
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from closedloop.errors import SourceError
from closedloop.sources.transport import is_http, is_local

VARIABLE = "CLOSEDLOOP_MIRROR"


def mirror() -> str | None:
    """The mirror that the environment names, if any.

    Raises SourceError when it names a folder that does not exist.
    """
    place = os.environ.get(VARIABLE, "").strip()
    if not place:
        return None
    if "://" not in place and not Path(place).expanduser().is_dir():
        raise SourceError(f"{VARIABLE} is {place!r}, which is not a folder; correct it, or unset it to download")
    return place


def locations(url: str, place: str | None) -> list[str]:
    """Where to look for a published url, in order: the tails of its path below the mirror, the longest first.

    Without a mirror, and for a local path, the only location is the url itself.
    """
    if place is None or is_local(url):
        return [url]
    path = unquote(urlsplit(url).path)
    segments = [segment for segment in path.split("/") if segment not in ("", ".", "..")]
    tails = ["/".join(segments[start:]) for start in range(len(segments))]
    if "://" not in place:
        return [str(Path(place).expanduser() / tail) for tail in tails]
    return [f"{place.rstrip('/')}/{quote(tail) if is_http(place) else tail}" for tail in tails]
