"""The scheduler: what is due, dispatched once, on time."""
