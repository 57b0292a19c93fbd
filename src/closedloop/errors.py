"""Errors that a person can act on. Each carries the exit code that its command ends with."""


class ClosedLoopError(Exception):
    """The work failed: the message says what is wrong, where, and what to do next."""

    exit_code = 1
    transient = False  # whether it may go well another time with nothing changed


class ConfigError(ClosedLoopError):
    """The configuration or the command line is wrong."""

    exit_code = 2


class SourceError(ClosedLoopError):
    """A data source is unreachable, truncated or altered."""

    transient = True


class DataError(ClosedLoopError):
    """The data cannot be used as they are."""


class TrainingError(ClosedLoopError):
    """Training cannot go on."""


class RegistryError(ClosedLoopError):
    """The MLflow store or a model in it is not usable."""

    transient = True


class StoreUnanswered(RegistryError):
    """The MLflow store does not answer: what it holds is not known, and may well be in order."""


class LogError(ClosedLoopError):
    """The prediction log cannot be read or written."""

    transient = True


class DriftFound(ClosedLoopError):
    """The window that was checked has drifted; not a failure of the check."""

    exit_code = 3
