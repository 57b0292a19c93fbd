"""closedloop: from a data set to a served model that is watched, and retrained when the world moves."""

__version__ = "0.1.0"
