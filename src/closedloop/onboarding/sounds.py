"""Recordings in WAV files, with a subfolder a class."""

import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from closedloop.data.archives import read_contents
from closedloop.onboarding.archives import find_folders, holds, place, refuse_columns
from closedloop.onboarding.commented import Noted
from closedloop.onboarding.proposal import Asked, Proposal, RawFile
from closedloop.onboarding.sections import CHECK, archive_format
from closedloop.tasks.sounds.wav import Measures, measure

LONGEST = 60  # seconds: source.format.max_seconds
HIGHEST_RATE = 16_000  # Hz that are kept: what lies above 8 kHz tells little of most sounds, and takes time
SEEN = 5.0  # seconds that a spectrogram holds at most


class Sounds:
    form = "sounds: a folder, or a zip, of WAV files with a subfolder a class"

    def recognises(self, path: Path) -> bool:
        return holds(path, ".wav")

    def place(self, path: Path) -> list[RawFile]:
        return [place(path)]

    def look(self, raw: Path, asked: Asked) -> Proposal:
        """Raises DataError when files cannot be read, are too long, or lie in no folder of a class."""
        refuse_columns(asked, "its subfolders")
        found = dict(read_contents(raw, ".wav", "recordings", _measured))
        folders = find_folders(list(found), str(asked.path))
        rates = Counter(one.rate for one in found.values())
        seconds = np.array([one.seconds for one in found.values()])
        rate = min(HIGHEST_RATE, rates.most_common(1)[0][0])
        most = min(LONGEST, math.ceil(1.5 * seconds.max()))
        heard = ", ".join(f"{hz:,} Hz" + (f" ({count:,})" if len(rates) > 1 else "") for hz, count in rates.items())
        return Proposal(
            kind="sounds",
            why="WAV files in a folder a class",
            form=f"a folder a class, {heard}",
            content=f"{len(found):,} recordings of {seconds.min():.1f} to {seconds.max():.1f} s"
            + (", official test split in a folder" if folders.parts else ""),
            format={
                **archive_format("wav_archive", raw.name, ".wav", folders),
                "rate": Noted(rate, f"Hz, to which others are brought; the files have {heard}"),
                "max_seconds": Noted(
                    most, f"longer ones are refused, here and in requests; the longest has {seconds.max():.1f}"
                ),
            },
            classes=folders.classes,
            left_out=folders.left_out,
            title=f"sounds in {asked.path.name}",
            checks=(f"rate: all recordings are brought to {rate:,} Hz",) if set(rates) != {rate} else (),
            settings={**_spectrogram(seconds), **_level(found), "monitor": {"max_latency_ms": 150}},
        )


def _measured(name: str, content: bytes) -> tuple[str, Measures]:
    """Raises ValueError for a file that is no recording, or too long."""
    found = measure(content)
    if found.seconds > LONGEST:
        raise ValueError(f"it has {found.seconds:.0f} s, at most {LONGEST} s are taken: cut it up")
    return name, found


def _spectrogram(seconds: np.ndarray[Any, Any]) -> dict[str, dict[str, Any]]:
    """A spectrogram that holds nearly all recordings, in steps so that it does not get long."""
    long = float(np.quantile(seconds, 0.95))
    held = min(SEEN, max(0.5, math.ceil(long * 10) / 10))
    features = {
        "seconds": Noted(held, f"{CHECK}: that are heard of a recording; 19 of 20 have at most {long:.1f} s"),
        "hop_ms": min(32, max(10, math.ceil(8 * held))),
    }
    return {"preprocess": {"features": features}}


def _level(found: dict[str, Measures]) -> dict[str, dict[str, Any]]:
    loudest = max(one.loudest for one in found.values())
    if loudest >= 0.5:
        return {}
    note = f"{CHECK}: the loudest sample of all reaches {loudest:.0%} of full scale"
    return {"validation": {"min_value_range": Noted(math.floor(loudest * 90) / 100, note)}}
