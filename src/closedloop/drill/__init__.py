"""The fire drill: the whole loop on a server that runs, in a project of its own, as demo and as acceptance test."""
