"""From raw data to checked examples, splits and tensors."""
