"""The gRPC servicers: the audit log, and access."""
