"""What people read: Markdown and small plots of what monitoring and promotion found.

Every report begins with its conclusion. They are made from rows that are already computed;
nothing is measured here. Markdown costs a millisecond and is made for every day; a plot
costs a tenth of a second and is made on demand.
"""

from mlops_assets.core.reports.evaluation import evaluation_markdown, promotion_markdown

__all__ = ["evaluation_markdown", "promotion_markdown"]
