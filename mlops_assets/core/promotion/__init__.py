"""Whether a challenger may serve: comparison on a holdout, the rules, the verdict."""
