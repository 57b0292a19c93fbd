"""Retraining: the decision, the new data, the attempt and its record."""
