"""The gRPC server that every service runs: `steps.py` lists the steps of a call, each in its own module."""
