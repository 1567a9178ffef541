"""The messages that wait in queues: looked at, deleted, moved, purged, put back; and their flow."""
