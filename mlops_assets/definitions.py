"""The code location of the built-in use case. No logic belongs here."""

from mlops_assets.build import build_definitions
from mlops_assets.use_cases.nyc_flights import USE_CASE

defs = build_definitions(USE_CASE)
