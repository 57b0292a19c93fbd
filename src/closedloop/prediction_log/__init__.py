"""What the deployed model was asked and said, what turned out to be true, and what was concluded from it."""
