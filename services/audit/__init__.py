"""The audit service: who did what, in a log that shows any change made to it afterwards.

It is small, and stands in one folder, top first:

api           the gRPC servicer
watch         looks at the stored end of the log at the start and every few seconds
log           appending and verifying, as callers use them
verification  the log checked against itself: bytes, hashes, columns, roots, signatures
state         the stored end of the log, checked against what was signed, before it grows
store         the SQL
records       what people see: an intent and its outcome, put together
entries       the bytes that are kept, and the columns by which they are found
checkpoint    size and root of the log as a signed note (C2SP signed-note)
merkle        the tree of RFC 6962
"""
