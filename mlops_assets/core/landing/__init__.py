"""From a landed file to a raw table, or to quarantine with the reason."""
