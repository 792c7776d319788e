"""Asset checks: what each one is called, what to do when it fails, and its verdict.

A module holds the checks of one part of the graph: ``specs`` declares them, the other
functions turn what ``mlops_assets.core`` found into results. Checks are evaluated by the
step that already holds the data, so that they cost neither a step nor a second read.
A check never catches an error of its own: a bug in a check must fail the run, not look
like bad data.
"""
