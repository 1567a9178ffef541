"""python -m deploy.standalone up | down | status | logs | token | enrol | rotate-keys: the whole system."""

from __future__ import annotations

import argparse
import errno
import os
import signal
import sys
import time
import uuid
from typing import TYPE_CHECKING, Any

from deploy.standalone.settings import OF_ANOTHER_APPLICATION, StandaloneSettings, load_settings
from deploy.standalone.state_folder import CLOSED

if TYPE_CHECKING:
    from deploy.standalone.tokens import LocalIssuer

# Workers have a minute to finish their tasks, services have 20 s to finish their calls.
DOWN_SECONDS = 150.0
# How long `make token` waits for a first start: for its keys, which it makes first of all once it has ended
# what an earlier system left running; and for its lock, which it takes some moments after the command.
KEY_SECONDS, FOLDER_SECONDS = 60.0, 3.0
# The subject of a token for nobody in particular, and the most characters of one.
OPERATOR, MOST_USER = "operator", 200


def main() -> int:
    # For all files that this process, and the processes that it starts, make from here on.
    os.umask(CLOSED)
    for name in OF_ANOTHER_APPLICATION:
        os.environ.pop(name, None)
    arguments = _arguments()
    settings = load_settings()
    try:
        if arguments.command == "up":
            from deploy.standalone.up import up
            from services.kernel import stacks

            stacks.tell_when_asked()
            return up(settings)
        if arguments.command == "down":
            return _down(settings)
        if arguments.command == "status":
            from deploy.standalone.status import status

            return status(settings)
        if arguments.command == "logs":
            from deploy.standalone.log_command import logs

            return logs(settings, arguments)
        if arguments.command == "enrol":
            return _enrol(settings, arguments.user)
        if arguments.command == "rotate-keys":
            return _rotate_keys(settings)
        return _token(settings, arguments.role, arguments.user, arguments.otp)
    except OSError as error:
        raise SystemExit(_explained(error, settings)) from error


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.standalone", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="start everything, and run until Ctrl-C")
    commands.add_parser("down", help="stop what runs")
    commands.add_parser("status", help="one line a component; exit code 0 when all are healthy")
    logs = commands.add_parser("logs", help="what the processes say")
    logs.add_argument("--name", default="", help="of this one only")
    logs.add_argument("--since", default="", help="from then on: 10m, 21:30, 2026-11-30T21:30:00Z")
    logs.add_argument("--until", default="", help="up to then, in the same forms")
    logs.add_argument("--level", default="", help="of this level and above: warning")
    logs.add_argument("--task", default="", help="that name the task of this id")
    logs.add_argument("--request", default="", help="of the call with this request id")
    logs.add_argument("--no-follow", dest="follow", action="store_false", help="end after the last lines")
    logs.add_argument("--long", action="store_true", help="lines in full, on a terminal, too")
    token = commands.add_parser("token", help="print a token that is good for an hour")
    token.add_argument("role", nargs="?", default="admin")
    token.add_argument("--user", default=OPERATOR, help="the token's subject: who does what is done with it")
    token.add_argument("--otp", default="", help="the authenticator's code, for a second factor")
    enrol = commands.add_parser("enrol", help="a new second factor: prints what an authenticator needs, once")
    enrol.add_argument("--user", default="", help="for this person's sign-ins, instead of for `token --otp`")
    commands.add_parser("rotate-keys", help="a new key protects the secrets of the live configuration")
    return parser.parse_args()


def _down(settings: StandaloneSettings) -> int:
    from deploy.standalone.lock import holder

    supervisor = holder(settings.run)
    while supervisor == 0:
        # It holds the lock already and is about to write its process id.
        time.sleep(0.05)
        supervisor = holder(settings.run)
    if supervisor is None:
        print(f"nothing runs in {settings.state}")
        return 0
    os.kill(supervisor, signal.SIGTERM)
    print(f"stopping what runs in {settings.state}", flush=True)
    deadline = time.monotonic() + DOWN_SECONDS
    while holder(settings.run) is not None:
        if time.monotonic() > deadline:
            print(f"process {supervisor} still stops after {DOWN_SECONDS:.0f} s; `make logs` tells what at")
            return 1
        time.sleep(0.1)
    print(f"stopped; the data stay in {settings.state}")
    return 0


def _token(settings: StandaloneSettings, role: str, user: str, code: str) -> int:
    from deploy.standalone.second_factor import SecondFactor, WrongCode
    from deploy.standalone.tokens import ROLES, LocalIssuer

    if role not in ROLES:
        raise SystemExit(f"ROLE={role} is none of {', '.join(ROLES)}; for example: make token ROLE=admin")
    _refuse_wrong_user(user)
    issuer = LocalIssuer(settings.state)
    _await_key(settings, issuer)
    token_id = uuid.uuid4().hex
    shown: dict[str, Any] = {}
    if code:
        try:
            shown = {"amr": ["otp"], "auth_time": SecondFactor(settings.state).verify(code)}
        except WrongCode as error:
            raise SystemExit(f"OTP={code[:20]}: {error}") from None
    print(issuer.mint(role, user, jti=token_id, **shown))
    if sys.stderr.isatty():
        # For a person; beside it, so that TOKEN=$(make -s token) has the token alone.
        print(f"token {token_id} of {user}, {role}, for an hour", file=sys.stderr)
    return 0


def _refuse_wrong_user(user: str) -> None:
    if not user.isprintable() or not 0 < len(user.strip()) <= MOST_USER:
        raise SystemExit(
            f"USER={user[:20]!r} must have 1 to {MOST_USER} characters that can be seen;"
            " for example: make token USER=mei"
        )


def _await_key(settings: StandaloneSettings, issuer: LocalIssuer) -> None:
    """Waits for the keys of a first `make up` that is still starting; raises SystemExit if there is none."""
    from deploy.standalone.lock import holder

    began = time.monotonic()
    while not issuer.has_key():
        starting, waited = holder(settings.run) is not None, time.monotonic() - began
        if starting and waited > KEY_SECONDS:
            raise SystemExit(
                f"the system in {settings.state} made no keys for {KEY_SECONDS:.0f} s; `make logs` tells why"
            )
        if not starting and waited > FOLDER_SECONDS:
            raise SystemExit(
                f"no system was ever started in {settings.state}, so nobody would accept a token of it. "
                f"Name the folder of yours, or start one there: make up CELERIAC_STATE_DIR={settings.state}"
            )
        time.sleep(0.1)


def _enrol(settings: StandaloneSettings, user: str) -> int:
    if user:
        return _enrol_for_sign_in(settings, user)
    from deploy.standalone.second_factor import SecondFactor

    print(SecondFactor(settings.state).enrol())
    print(
        "Give this to an authenticator (as a QR code, or its secret by hand): it is not shown again.\n"
        "Then: make token ROLE=super_admin OTP=<its code>",
        file=sys.stderr,
    )
    return 0


def _enrol_for_sign_in(settings: StandaloneSettings, user: str) -> int:
    """A second factor of a person who signs in with a browser: the door keeps its secret, sealed."""
    from deploy.standalone.lock import holder
    from deploy.standalone.servers import as_running
    from deploy.standalone.system import run_command
    from services import DOOR

    _refuse_wrong_user(user)
    if holder(settings.run) is None:
        raise SystemExit(f"nothing runs in {settings.state}: second factors of sign-ins are in its database")
    code = run_command(as_running(settings), DOOR, "enrol", said=f"{user}\n")
    if code == 0:
        print(
            f"Give this to {user}'s authenticator (a QR code, or the secret by hand); it is not shown\n"
            "again. Its codes are asked for on the page, once signed in.",
            file=sys.stderr,
        )
    return code


def _rotate_keys(settings: StandaloneSettings) -> int:
    from deploy.standalone.lock import holder
    from deploy.standalone.servers import as_running
    from deploy.standalone.system import run_command

    if holder(settings.run) is None:
        raise SystemExit(f"nothing runs in {settings.state}, and the keys protect what is in its database")
    settings = as_running(settings)
    return run_command(settings, "scheduler", "new-key") or run_command(settings, "scheduler", "rotate-keys")


def _explained(error: OSError, settings: StandaloneSettings) -> str:
    where = error.filename or settings.state
    if error.errno == errno.ENOSPC:
        return f"the disk is full: {where} can't be written. Make room, or choose another CELERIAC_STATE_DIR"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        advice = "Choose a folder of your own: make up CELERIAC_STATE_DIR=$HOME/celeriac"
        return f"no permission to write {where}. {advice}"
    return f"{where}: {error.strerror or error}"


if __name__ == "__main__":
    sys.exit(main())
