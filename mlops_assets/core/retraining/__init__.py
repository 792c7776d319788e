"""When to train again: evidence, guards, decision."""
