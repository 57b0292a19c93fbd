"""Tabular classification."""
