"""The monitor: what runs, what waits, who works, and whether all is well."""
