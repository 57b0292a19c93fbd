"""Runs side by side: what differs between them, and whether one is better than another."""
