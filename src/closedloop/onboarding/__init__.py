"""A user's own data: looked at once, and written down as configuration that a person can read and change."""
