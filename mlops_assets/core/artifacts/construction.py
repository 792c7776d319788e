"""From the bytes of a model file to an estimator, and whether a later run can do that too.

Only bytes that were written here, or that have passed all checks of ``artifacts``.
"""

from __future__ import annotations

import warnings
from typing import Any

from mlops_assets.core.artifacts.refusal import ArtifactError


def construct(data: bytes, allowed: frozenset[str]) -> Any:
    """Return the estimator; types outside ``allowed`` and other versions raise."""
    from sklearn.exceptions import InconsistentVersionWarning

    from mlops_assets.core.artifacts.reading import loads

    with warnings.catch_warnings():
        warnings.simplefilter("error", InconsistentVersionWarning)
        return loads(data, sorted(allowed))


def read_back(what: str, data: bytes, allowed: frozenset[str]) -> Any:
    """Return the estimator that was just written, or say why it cannot be read.

    Raises
    ------
    ArtifactError
        If it holds a type that is not trusted, or that is not where its name says.
    """
    from skops import io as skops_io
    from skops.io.exceptions import UntrustedTypesFoundException

    try:
        return construct(data, allowed)
    except UntrustedTypesFoundException as error:
        unknown = sorted(set(skops_io.get_untrusted_types(data=data)) - allowed)
        raise ArtifactError(
            f"The estimator holds types that are not trusted: {', '.join(unknown)}. If they "
            f"are yours, declare the model with trusted_types={unknown!r}."
        ) from error
    except Exception as error:
        raise ArtifactError(
            f"{what} was written but cannot be read back: {error}. "
            "A function or class inside a function is the usual cause: move it to the top "
            "level of an importable module."
        ) from error


def refuse_unregistrable(types: frozenset[str]) -> None:
    """Raise if an estimator holds what exists only in the running program, trusted or not."""
    for name in sorted(types):
        if "<lambda>" in name:
            raise ArtifactError(
                f"The estimator holds a lambda ({name}), which no later run can load. Write it "
                "as a named function at the top level of an importable module, and name it in "
                "the model's trusted_types."
            )
        if name.startswith("__main__.") or "<locals>" in name:
            raise ArtifactError(
                f"The estimator holds {name}, which exists only in the running program. Move "
                "it to the top level of an importable module, and name it in the model's "
                "trusted_types."
            )
