"""What starts runs and tells people: jobs, the daily schedule, and sensors.

``jobs``, ``schedules`` and ``sensors`` make everything for a use case; nothing here opens
the DuckDB file, so that automation works on while a run writes.
"""

from mlops_assets.automation.jobs import jobs
from mlops_assets.automation.schedules import schedules
from mlops_assets.automation.sensors import sensors

__all__ = ["jobs", "schedules", "sensors"]
