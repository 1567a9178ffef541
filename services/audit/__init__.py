"""The audit service: a tamper-evident log of who did what, and who is shut out.

It is small, so its modules are in one folder, top first:

api           the gRPC servicers: the audit log, and access (revocations of tokens)
watch         checks the stored end of the log at the start and every few seconds
log           append, check and verify, for the callers
verification  checks the whole log against itself: bytes, hashes, columns, roots, signatures
store         the SQL of the log
state         checks the stored end of the log against what was signed, before each append
records       events as people read them: an intent together with its outcome
entries       the bytes that are stored, and the columns for searching them
checkpoint    size and root of the log as a signed note (C2SP signed-note)
merkle        the tree of RFC 6962
revocations   the SQL of revoked tokens, which every service reads
"""
