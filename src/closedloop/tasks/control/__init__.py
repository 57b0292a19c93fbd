"""What to do next, where an episode shows what comes of it."""
