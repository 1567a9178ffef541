"""The door: what a browser needs of the system. It speaks HTTP, behind the gateway.

It answers no gRPC calls. It is small, so its modules are in one folder, top first:

serving   builds the process
app       which path is answered by what
answers   errors, as REST callers get them
observe   each request gets its id, a line in the log and its place in the metrics
https     an HTTP server over mutual TLS, which stops when its requests have ended
files     the pages and what they load: kept in memory, compressed before
paths     the paths that the gateway gives to the door
"""
