"""The only package that talks to MLflow: runs, versions, the champion alias."""

from closedloop.registry.aliases import Champion, load_champion
from closedloop.registry.runs import log_monitoring

__all__ = ["Champion", "load_champion", "log_monitoring"]
