"""The door: what a browser needs of the system. It speaks HTTP, behind the gateway.

It answers no gRPC calls. Its modules and its room, top first:

serving        builds the process
app            which path is answered by what
live           the WebSocket: what happens, as it happens
sign_in        from a one-time link to a cookie, its renewal, a second factor, its end
callers        who asks, and whether a page of this address asks
recording      sign-ins in the audit log
second_factor  codes of authenticators, each taken once
signing        sign-ins as tokens
store_factors  the SQL of second factors
store_links    the SQL of one-time links
answers        errors, as REST callers get them
observe        each request gets its id, a line in the log and its place in the metrics
https          an HTTP server over mutual TLS, which stops when its requests have ended
files          the pages and what they load: kept in memory, compressed before
paths          the paths that the gateway gives to the door
"""
