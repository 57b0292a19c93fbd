"""Classification of short recordings."""

import hashlib
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from closedloop.errors import DataError
from closedloop.files import write_json
from closedloop.tasks.base import Arrays, BadRecord, Baseline, Finding, Preprocessor, read_fitted
from closedloop.tasks.sounds.features import Floats, LogMel
from closedloop.tasks.sounds.request import (
    AUDIO,
    audio_schema,
    column,
    contents,
    decode_audio,
    encode_audio,
    sounds,
)
from closedloop.tasks.sounds.wav import Samples, read_wav, to_samples, write_wav

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from closedloop.config import Params
    from closedloop.tasks.schema import LogMel as LogMelConfig
    from closedloop.tasks.schema import WavArchive

CHUNK = 256  # sounds at a time: bounds the memory
LOOK, LOOK_SECONDS, LOOK_WINDOW = 64, 0.5, 0.032  # pixels, and seconds that they span, of the pictures for people
STEEPNESS = 0.01  # inverse strength of the baseline's regularisation


@dataclass(frozen=True)
class SoundPreprocessor:
    """Log-mel spectrograms of one size, each band with mean 0 and deviation 1 over the training split."""

    max_seconds: float
    log_mel: LogMel
    mean: list[float]  # of each band, over the training split
    std: list[float]

    @property
    def cardinalities(self) -> dict[str, list[int]]:
        return {}

    def transform(self, examples: "pa.Table") -> Arrays:
        """Sounds -> standardised spectrograms (N, 1, mels, frames)."""
        return self._standardised([self._at_rate(sound, rate) for sound, rate in sounds(examples)])

    def inputs(self, records: list[dict[str, Any]]) -> Arrays:
        return self._standardised(self._sounds(records))

    def _standardised(self, found: list[Samples]) -> Arrays:
        mean, std = (np.array(values, np.float32)[:, None] for values in (self.mean, self.std))
        return {"inputs": ((_pictures(self.log_mel, found) - mean) / std)[:, None]}

    def _at_rate(self, sound: Samples, rate: int) -> Samples:
        if rate != self.log_mel.rate:
            raise DataError(f"the sounds have {rate} samples a second, the model takes {self.log_mel.rate}")
        return sound

    def request_schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": {AUDIO: audio_schema(self.log_mel.rate, self.max_seconds)},
            "required": [AUDIO],
            "additionalProperties": False,
        }

    def request_example(self) -> dict[str, Any]:
        """A short tone that swells and fades."""
        rate = self.log_mel.rate
        time = np.arange(max(2, round(rate * min(0.1, self.max_seconds)))) / rate
        tone = 0.5 * np.sin(np.pi * time / time[-1]) * np.sin(2 * np.pi * 440 * time)
        return {AUDIO: encode_audio(write_wav(to_samples(tone), rate))}

    def decode(self, records: list[dict[str, Any]]) -> "pa.Table":
        """[{"audio": base64 WAV}, …] -> examples."""
        import pyarrow as pa

        return pa.table({AUDIO: column(self._sounds(records), self.log_mel.rate)})

    def _sounds(self, records: list[dict[str, Any]]) -> list[Samples]:
        found = []
        for row, record in enumerate(records):
            if not isinstance(record, dict) or record.keys() != {AUDIO}:
                raise BadRecord(row, "", f"expected an object with exactly one field, {AUDIO!r}")
            try:
                found.append(decode_audio(record[AUDIO], self.log_mel.rate, self.max_seconds))
            except ValueError as error:
                raise BadRecord(row, AUDIO, str(error)) from None
        return found

    def encode(self, examples: "pa.Table") -> list[dict[str, Any]]:
        return [{AUDIO: encode_audio(content)} for content in contents(examples)]

    def save(self, folder: Path) -> None:
        write_json(folder / "preprocessor.json", {"kind": "sounds", **asdict(self)})


def _pictures(log_mel: LogMel, found: list[Samples]) -> Floats:
    parts = [log_mel.pictures(found[start : start + CHUNK]) for start in range(0, max(len(found), 1), CHUNK)]
    return np.concatenate(parts)


class Sounds:
    """Recordings in an archive of WAV files, one label each."""

    takes_missing = False

    def read(self, raw: Path, params: "Params") -> "pa.Table":
        """Read the archives; a label is what source.format.pattern finds in the name, as are the groups of its test.

        Raises DataError when an archive or a recording in it is missing, damaged, too long or named otherwise.
        """
        import pyarrow as pa

        from closedloop.data.archives import read_archive
        from closedloop.data.examples import GROUP, ID, LABEL, PART

        config = _format(params)

        def samples(content: bytes) -> Samples:
            return read_wav(content, config.rate, config.max_seconds)

        parts = [
            (part, read_archive(raw / part.archive, config.pattern, ".wav", "recordings", samples))
            for part in config.parts
        ]
        found = [(config.split(one.groups, part), one) for part, recordings in parts for one in recordings]
        columns = {
            ID: pa.array([one.name for _, one in found], pa.string()),
            PART: pa.array([split for split, _ in found], pa.string()),
            AUDIO: column([one.content for _, one in found], config.rate),
            LABEL: pa.array([one.groups["label"] for _, one in found], pa.string()),
        }
        if config.grouped:
            columns[GROUP] = pa.array([one.groups["group"] for _, one in found], pa.string())
        return pa.table(columns)

    def fingerprints(self, examples: "pa.Table") -> NDArray[np.uint64]:
        digests = [hashlib.blake2b(content, digest_size=8).digest() for content in contents(examples)]
        return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)

    def examine(self, examples: "pa.Table", params: "Params") -> list[Finding]:
        """A level that does not fit, and silence: a muted microphone, a failed decode."""
        from closedloop.data.examples import ID

        limits, found = params.validation, [sound for sound, _ in sounds(examples)]
        loudest = max(int(np.abs(sound.astype(np.int32)).max()) for sound in found)
        silent = [row for row, sound in enumerate(found) if sound.min() == sound.max()]
        ids = examples.column(ID).to_pylist()
        return [
            Finding(
                check="level",
                passed=loudest >= limits.min_value_range * 32768,
                found=f"the loudest sample of all is {loudest}",
                allowed=f"at least {limits.min_value_range} (validation.min_value_range) of 32768",
            ),
            Finding(
                check="silent recordings",
                passed=len(silent) <= limits.max_blank_share * len(found),
                found=f"{len(silent)} of {len(found)} have a single value throughout",
                allowed=f"a share of at most {limits.max_blank_share} (validation.max_blank_share)",
                examples=tuple(ids[row] for row in silent[:10]),
            ),
        ]

    def fit(self, train: "pa.Table", params: "Params") -> Preprocessor:
        """Mean and deviation of each band over the training split.

        Raises DataError when a band is the same everywhere, as nothing can be learnt from it.
        """
        log_mel = _log_mel(params)
        pictures = _pictures(log_mel, [sound for sound, _ in sounds(train)])
        mean, std = (np.asarray(of(pictures, axis=(0, 2), dtype=np.float64)) for of in (np.mean, np.std))
        if not std.all():
            raise DataError(
                f"{np.sum(std == 0)} of {len(std)} bands are silent in all of the training split: lower "
                "preprocess.features.mels, or source.format.rate when the recordings hold no such high tones"
            )
        seconds = _format(params).max_seconds
        return SoundPreprocessor(seconds, log_mel, mean.tolist(), std.tolist())

    def load_preprocessor(self, folder: Path) -> Preprocessor:
        content = read_fitted(folder)
        return SoundPreprocessor(**{**content, "log_mel": LogMel(**content["log_mel"])})

    def baseline(self, train: "pa.Table", examples: "pa.Table", params: "Params") -> Baseline:
        """Logistic regression on the mean and the deviation of each band in each third of the recording."""
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        from closedloop.data.examples import labels

        log_mel = _log_mel(params)

        def pooled(table: "pa.Table") -> Floats:
            thirds = [
                np.concatenate([[of(third, axis=0) for of in (np.mean, np.std)] for third in _thirds(levels)]).ravel()
                for start in range(0, table.num_rows, CHUNK)
                for levels in log_mel.spectrograms([sound for sound, _ in sounds(table.slice(start, CHUNK))])
            ]
            return np.array(thirds, np.float32)

        regression = LogisticRegression(C=STEEPNESS, max_iter=500)
        model = make_pipeline(StandardScaler(), regression).fit(pooled(train), labels(train))
        probabilities = np.full((examples.num_rows, len(params.task.classes)), 1e-6)
        columns = [params.task.classes.index(name) for name in model.classes_]
        probabilities[:, columns] += model.predict_proba(pooled(examples))
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        return Baseline("logistic regression on pooled log-mel levels", probabilities)

    def describe(self, examples: "pa.Table") -> "pd.DataFrame":
        from closedloop.tasks.sounds.descriptors import describe

        return describe(sounds(examples))

    def shift(self, examples: "pa.Table", scenario: str, severity: int, rng: np.random.Generator) -> "pa.Table":
        from closedloop.tasks.sounds.shifts import shift

        return shift(examples, scenario, severity, rng)

    def look(self, examples: "pa.Table", row: int) -> NDArray[np.uint8]:
        """The spectrogram: time to the right, low tones at the bottom, loud bright."""
        ((sound, rate),) = sounds(examples.slice(row, 1))
        hop = max(1, round(LOOK_SECONDS * rate / LOOK), -(-len(sound) // LOOK))  # a long recording is seen whole
        window = max(2, round(LOOK_WINDOW * rate), hop)
        picture = LogMel(rate, window, hop, LOOK, 50, 60, LOOK).pictures([sound])[0]
        return np.asarray(255 * picture[::-1], np.uint8)


def _format(params: "Params") -> "WavArchive":
    return cast("WavArchive", params.source.format)  # the configuration has seen to it, as to the features


def _log_mel(params: "Params") -> LogMel:
    config, rate = cast("LogMelConfig", params.preprocess.features), _format(params).rate
    window, hop = (max(1, round(ms * rate / 1000)) for ms in (config.window_ms, config.hop_ms))
    frames = max(1, round(config.seconds * rate / hop))
    return LogMel(rate, window, hop, config.mels, config.low_hz, config.range_db, frames)


def _thirds(levels: Floats) -> list[Floats]:
    """A spectrogram (T, mels) in three parts, none of them empty."""
    bounds = np.linspace(0, len(levels), 4)
    return [levels[int(low) : max(int(low) + 1, int(high))] for low, high in pairwise(bounds)]


TASK = Sounds()
