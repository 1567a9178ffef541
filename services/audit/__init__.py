"""The audit service: who did what, in a log that shows any change made to it afterwards.

It is small, and stands in one folder, top first:

api           the gRPC servicer
log           appending and verifying, as callers use them
verification  the log checked against itself: bytes, hashes, columns, root, signature
store         the SQL
records       what people see: an intent and its outcome, put together
entries       the bytes that are kept, and the columns by which they are found
checkpoint    size and root of the log as a signed note (C2SP signed-note)
merkle        the tree of RFC 6962
"""
