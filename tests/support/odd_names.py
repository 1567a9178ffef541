"""Names that a Celery application may choose, and that a careless reader of names trips over."""

# By REST these can stand in a path, once they are encoded for one.
IN_PATHS = (
    "6f0e6fcd-0a5e-4d2f-8d0b-7f9c24e8b1aa",
    "with space",
    " ",
    "報表-1",
    "a?b#c&d=e+f",
    "quote\"'s",
    "~4711",
    "a@b~c",
    "*",
    "{x}",
    "x" * 1024,
    "100%",
    "%",
    "a%2Fb",
    "a:revoke",
    "a:get",
    "get:a",
    "line\nbreak",
)
# These can't.
NOT_IN_PATHS = (
    "a/b",
    "/",
    "//a//b",
    "a\\b",
    ".",
    "..",
    "a/../b",
    "tasks/tasks/a",
    "長" * 341 + "/",
)
ODD_NAMES = (*IN_PATHS, *NOT_IN_PATHS)
TOO_LONG = ("x" * 1025, "長" * 342)
