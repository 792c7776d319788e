"""The one error of model files: what was refused, why, and what to do."""

from __future__ import annotations


class ArtifactError(RuntimeError):
    """A model file cannot be written or must not be loaded; the message says what to do."""
