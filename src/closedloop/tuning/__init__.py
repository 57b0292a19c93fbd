"""The search for better values of the configuration, on the training and validation splits alone."""
