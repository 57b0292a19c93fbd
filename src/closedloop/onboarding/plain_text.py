"""A text file that is either: a table, or a running text for a language model. What it holds decides."""

from pathlib import Path

from closedloop.onboarding.dialect import RECTANGULAR, find_encoding, share_in_columns
from closedloop.onboarding.placing import alone
from closedloop.onboarding.proposal import Asked, Proposal, RawFile
from closedloop.onboarding.running_text import propose
from closedloop.onboarding.tables import Tables

ENDINGS = (".txt", ".text", ".md", ".markdown", ".rst", ".tex", ".log", ".data", ".dat", "")


class PlainText:
    form = (
        "a running text, for a language model, or a table: .txt, .md, .rst, .data and such, each also as .gz, or alone "
        "in a .zip"
    )

    def recognises(self, path: Path) -> bool:
        file = alone(path)
        return file is not None and Path(file.name).suffix.lower() in ENDINGS

    def place(self, path: Path) -> list[RawFile]:
        file = alone(path)
        assert file is not None  # noqa: S101  as it is recognised
        return [file]

    def look(self, raw: Path, asked: Asked) -> Proposal:
        """Raises DataError when the file is no text, or cannot be learnt from as what it is."""
        if asked.target or asked.text or asked.columns:
            return Tables().look(raw, asked)
        encoding = find_encoding(raw)
        share = share_in_columns(raw, encoding)
        return Tables().look(raw, asked) if share >= RECTANGULAR else propose(raw, asked, encoding, share)
