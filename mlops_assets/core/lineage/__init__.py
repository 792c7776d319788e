"""Which columns reach which features, versions, predictions and reports."""
