"""Becomes a command that does not outlive its parent: launch.py PARENT SIGNAL USER COMMAND…

On Linux the kernel sends SIGNAL (a number) to the command when its parent dies, also by kill -9. USER is a
name, or "-" for the caller's own. It is a process of its own, because code between fork and exec may hang in
a parent with threads (gRPC has some). It imports almost nothing, to start in milliseconds.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, number, user, *command = sys.argv[1:]
    if user != "-":
        import pwd

        entry = pwd.getpwnam(user)
        os.setgroups([])
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
    if sys.platform == "linux":
        # After the change of user, which would undo it: prctl(2).
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(number))
        if os.getppid() != int(parent):
            sys.exit("launch: the parent is gone already")
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
