"""Recordings in WAV files, with a subfolder a class."""

import math
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from closedloop.data.archives import files, unpacked
from closedloop.errors import DataError
from closedloop.onboarding.archives import find_folders, holds, place, refuse_columns
from closedloop.onboarding.commented import Noted
from closedloop.onboarding.proposal import Asked, Proposal, RawFile
from closedloop.onboarding.sections import CHECK, archive_format
from closedloop.tasks.sounds.wav import Measures, measure

LONGEST = 60  # seconds: source.format.max_seconds
HIGHEST_RATE = 16_000  # Hz that are kept: what lies above 8 kHz tells little of most sounds, and takes time
SEEN = 5.0  # seconds that a spectrogram holds at most
NAMED = 5


class Sounds:
    form = "sounds: a folder, or a zip, of WAV files with a subfolder a class"

    def recognises(self, path: Path) -> bool:
        return holds(path, ".wav")

    def place(self, path: Path) -> RawFile:
        return place(path)

    def look(self, raw: Path, asked: Asked) -> Proposal:
        """Raises DataError when files cannot be read, are too long, or lie in no folder of a class."""
        refuse_columns(asked)
        found = _measures(raw, asked)
        folders = find_folders(list(found), ".wav", str(asked.path))
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
            + (", official test split in a folder" if folders.test else ""),
            format={
                **archive_format("wav_archive", raw.name, folders),
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


def _measures(raw: Path, asked: Asked) -> dict[str, Measures]:
    found, wrong = {}, []
    with zipfile.ZipFile(raw) as archive:
        for entry in tqdm(list(files(archive, ".wav")), desc="recordings", unit="file", delay=0.5):
            try:
                found[entry.filename] = one = measure(unpacked(archive, entry))
                if one.seconds > LONGEST:
                    raise ValueError(f"it has {one.seconds:.0f} s, at most {LONGEST} s are taken: cut it up")
            except ValueError as error:
                wrong.append(f"{entry.filename}: {error}")
    if wrong:
        more = f"\n  and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
        listed = "\n  ".join(wrong[:NAMED])
        raise DataError(f"{asked.path}: {len(wrong)} recordings cannot be used:\n  {listed}{more}")
    return found


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
