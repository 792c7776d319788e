"""Audit: what made a prediction, and whether it comes out the same again."""
