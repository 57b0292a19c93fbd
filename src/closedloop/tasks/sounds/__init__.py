"""Classification of recorded sounds."""
