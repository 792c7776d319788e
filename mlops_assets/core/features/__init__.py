"""Feature views, their definitions in time, and the point-in-time join."""
