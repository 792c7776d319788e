"""How much a test tries that claims something of thousands of cases.

``make test`` tries enough to notice a mistake, in a fraction of the time; ``make proof`` tries
what the documentation claims.
"""

from __future__ import annotations

import os

#: Set by ``make proof``.
PROOF = bool(os.environ.get("MLOPS_ASSETS_PROOF"))


def tries(claimed: int, usual: int) -> int:
    """Return how many cases to try: those that are claimed in a proof, else the usual ones."""
    return claimed if PROOF else usual
