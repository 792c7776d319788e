"""All slices by one column and by two, with their rows and their loss by block of rows.

One pass over the rows for each pair of columns counts them in the cells of both; slices are sums
of cells. What the sums say is in ``chance``; which slices are told in ``slices``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from mlops_assets.core.attention.coding import Coded, Cut

if TYPE_CHECKING:
    import numpy as np

    from mlops_assets.core.attention.conditions import Condition

#: A pair that keeps more than this share of the rows of one of its conditions is that condition.
SAME = 0.9
#: Most of the rows that a slice may have: beyond, the rest is the exception.
MOST = 0.5
#: Least share of a slice's comparisons with other rows that are possible within blocks: a slice of
#: whole days cannot be told from the days.
COMPARABLE = 0.25


@dataclass(frozen=True)
class Part:
    """The slices by one column, or by one pair.

    Attributes
    ----------
    columns
        Positions of the columns, one or two.
    kept
        Which of all slices are large and small enough, their numbers.
    at
        Where they begin among the slices of the lattice.
    """

    columns: tuple[int, ...]
    kept: np.ndarray
    at: int


class Lattice:
    """Slices and what was counted in them.

    Attributes
    ----------
    n
        Rows of each slice, shape ``(slices,)``.
    sums
        Sum of the residual loss in each slice and block, shape ``(slices, blocks)``.
    compared
        Rows of each slice and block times the share of the block's rows that are not in the slice:
        what a comparison within the block is worth, shape ``(slices, blocks)``.
    within
        Rows of each slice and block over those of the block, of the same shape.
    """

    def __init__(
        self,
        columns: Sequence[Coded],
        pairs: Sequence[Coded],
        residual: np.ndarray,
        block: np.ndarray,
        blocks: int,
        least: int,
        least_blocks: float = 0.0,
    ) -> None:
        """Count.

        Parameters
        ----------
        columns, pairs
            Columns to slice by, and those of them to pair.
        residual
            Loss minus its mean, shape ``(n,)``.
        block
            Number of each row's block, shape ``(n,)``.
        least
            Rows that a slice must have.
        least_blocks
            Equally filled blocks that its comparisons must be worth.
        """
        import numpy as np

        self.columns, self.blocks, self.rows = columns, blocks, len(residual)
        self.sizes = np.maximum(np.bincount(block, minlength=blocks), 1).astype(float)
        self._block, self._least, self._least_blocks = block.astype(np.int64), least, least_blocks
        sets = [(i,) for i in range(len(columns))]
        self._paired = {columns.index(c): None for c in pairs}
        sets += list(combinations(self._paired, 2))
        self.parts: list[Part] = []
        ns, sums, within, compared, at = [], [], [], [], 0
        self._marginal: dict[int, np.ndarray] = {}
        for chosen in sets:
            counted, added = self._counted(chosen, residual, None)
            by_block = self._over(chosen, counted).reshape(-1, blocks)
            n = by_block.sum(axis=1)
            share = by_block / self.sizes
            worth = by_block * (1 - share)
            kept = np.flatnonzero(self._eligible(chosen, n, worth))
            self.parts.append(Part(chosen, kept, at))
            ns.append(n[kept])
            sums.append(self._over(chosen, added).reshape(len(n), blocks)[kept])
            within.append(share[kept].astype(np.float32))
            compared.append(worth[kept].astype(np.float32))
            at += len(kept)
        self.n = np.concatenate(ns) if ns else np.zeros(0)
        self.sums = np.concatenate(sums) if sums else np.zeros((0, blocks))
        self.within = np.concatenate(within) if within else np.zeros((0, blocks), np.float32)
        self.compared = np.concatenate(compared) if within else np.zeros((0, blocks), np.float32)
        self.width = np.concatenate([np.full(len(p.kept), len(p.columns)) for p in self.parts])

    def __len__(self) -> int:
        return len(self.n)

    def conditions(self, number: int) -> tuple[Condition, ...]:
        """Return what a slice is."""
        part, rows = self._find(number)
        return tuple(
            self._cut(part.columns, c).condition(int(r))
            for c, r in zip(part.columns, rows, strict=True)
        )

    def masks(self, number: int) -> list[np.ndarray]:
        """Return, for each condition of a slice, which rows meet it."""
        part, rows = self._find(number)
        cuts = [self._cut(part.columns, c) for c in part.columns]
        return [
            cut.members[int(r)].astype(bool)[cut.codes] for cut, r in zip(cuts, rows, strict=True)
        ]

    def of_column(self, column: int) -> slice:
        """Return which slices are those by one column alone."""
        part = self.parts[column]
        return slice(part.at, part.at + len(part.kept))

    def columns_of(self, number: int) -> tuple[int, ...]:
        """Return the positions of the columns of a slice."""
        return self._find(number)[0].columns

    def refinements(self, column: int) -> int:
        """Return by how many slices, on average, one of a column can be narrowed."""
        pairs = sum(len(p.kept) for p in self.parts if len(p.columns) == 2 and column in p.columns)
        return max(1, pairs // max(1, len(self.columns[column].coarse)))

    def level(self, mask: np.ndarray, excess: float) -> None:
        """Take ``excess`` off the loss of the rows of a mask."""
        import numpy as np

        chosen = np.flatnonzero(mask)
        for part in self.parts:
            counted, _ = self._counted(part.columns, None, chosen)
            added = self._over(part.columns, counted).reshape(-1, self.blocks)[part.kept]
            self.sums[part.at : part.at + len(part.kept)] -= excess * added

    def _cut(self, chosen: tuple[int, ...], column: int) -> Cut:
        coded = self.columns[column]
        return coded.fine if len(chosen) == 1 else coded.coarse

    def _counted(
        self, chosen: tuple[int, ...], residual: np.ndarray | None, rows: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return rows, and summed residuals, of each cell and block, shape (cells..., blocks)."""
        import numpy as np

        key = self._block if rows is None else self._block[rows]
        size, shape = self.blocks, [self.blocks]
        for column in reversed(chosen):
            cut = self._cut(chosen, column)
            codes = cut.codes if rows is None else cut.codes[rows]
            key = key + codes * np.int64(size)
            size, shape = size * cut.size, [cut.size, *shape]
        counted = np.bincount(key, minlength=size).astype(np.float64).reshape(shape)
        if residual is None:
            return counted, counted
        return counted, np.bincount(key, weights=residual, minlength=size).reshape(shape)

    def _over(self, chosen: tuple[int, ...], cells: np.ndarray) -> np.ndarray:
        """Return sums over slices of what is counted in cells, shape (slices..., rest)."""
        import numpy as np

        found = np.tensordot(self._cut(chosen, chosen[0]).members, cells, axes=(1, 0))
        if len(chosen) == 2:
            found = np.tensordot(self._cut(chosen, chosen[1]).members, found, axes=(1, 1))
            return np.swapaxes(found, 0, 1)
        return found

    def _eligible(self, chosen: tuple[int, ...], n: np.ndarray, worth: np.ndarray) -> np.ndarray:
        import numpy as np

        fits = (n >= self._least) & (n <= MOST * self.rows)
        possible = worth.sum(axis=1)
        fits &= possible >= COMPARABLE * n * (1 - n / self.rows)
        if self._least_blocks:
            fits &= possible**2 >= self._least_blocks * np.einsum("sb,sb->s", worth, worth)
        if len(chosen) == 1:
            return fits
        alone = [self._alone(column) for column in chosen]
        smaller = np.minimum(alone[0][:, None], alone[1][None, :]).ravel()
        return fits & (n <= SAME * smaller)

    def _alone(self, column: int) -> np.ndarray:
        """Return the rows of each coarse slice of a column."""
        import numpy as np

        if column not in self._marginal:
            cut = self.columns[column].coarse
            self._marginal[column] = cut.members @ np.bincount(cut.codes, minlength=cut.size)
        return self._marginal[column]

    def _find(self, number: int) -> tuple[Part, tuple[int, ...]]:
        import numpy as np

        part = next(p for p in reversed(self.parts) if p.at <= number and len(p.kept))
        inside = int(part.kept[number - part.at])
        if len(part.columns) == 1:
            return part, (inside,)
        second = len(self._cut(part.columns, part.columns[1]))
        return part, tuple(int(i) for i in np.divmod(inside, second))
