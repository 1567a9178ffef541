"""The gRPC server that every service runs: `server.py` reads as the story of a request."""
