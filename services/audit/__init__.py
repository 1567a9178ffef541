"""The audit service: an append-only log that proves itself."""
