"""The command `celeriac`: what operators do, from a terminal or a script.

__main__   starts it, and turns every error into three lines and an exit code
tree       all commands: where each is, and what the help says of it
lazy       groups that import a command when it is called
session    what the shared options say, and the client that is made of them
options    options that several commands have
output     tables, tabs, JSON, YAML, names
terminal   tables of a terminal (rich), imported there alone
times      relative times, and what people write for a time
failures   an error in three lines: what, why, what next
asking     questions before what destroys
several    the same act for several names
following  long work, until its end
names      names for completion and suggestions, from a file that is a minute old at most

The other modules are the commands, a module a subject. grpc is imported in the body of a command, so that
help and completion do without it.
"""
