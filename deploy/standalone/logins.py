"""Lets the services' roles log in to a PostgreSQL that is not this system's own, each with its password."""

from __future__ import annotations

import asyncpg

from deploy.standalone.role_passwords import passwords, verifier
from deploy.standalone.servers import owner_url, service_url
from deploy.standalone.settings import StandaloneSettings
from services import STORING
from services.kernel.database import CONNECT_SECONDS

# Who is logged in may be seen by everyone; what they run may not.
IN_USE = "SELECT DISTINCT host(client_addr) FROM pg_stat_activity WHERE usename = $1"


async def missing(settings: StandaloneSettings) -> list[str]:
    """Returns the roles that can't log in with the passwords of this state folder."""
    found = []
    for service in STORING:
        try:
            connection = await asyncpg.connect(service_url(settings, service), timeout=CONNECT_SECONDS)
        except asyncpg.InvalidAuthorizationSpecificationError:
            found.append(f"celeriac_{service}")
        else:
            await connection.close()
    return found


async def give(settings: StandaloneSettings) -> None:
    """Gives a password to each role that has not this state folder's.

    Raises SystemExit if another Celeriac works with the role, which would be locked out, or if the
    login may not.
    """
    given = passwords(settings.state)
    owner = await asyncpg.connect(owner_url(settings), timeout=CONNECT_SECONDS)
    try:
        for role in await missing(settings):
            if users := await owner.fetch(IN_USE, role):
                where = users[0][0] or "the server's own machine"
                raise SystemExit(
                    f"another Celeriac works with the role {role} of this PostgreSQL, from {where}, and has "
                    "another password for it: stop that one, or name another server in DATABASE_URL"
                )
            await owner.execute(f"ALTER ROLE {role} LOGIN PASSWORD '{verifier(given[role])}'")
    except asyncpg.InsufficientPrivilegeError as error:
        raise SystemExit(
            f"the login may not set a password: {error}. As a superuser: "
            f"GRANT {', '.join(given)} TO CURRENT_LOGIN WITH ADMIN OPTION, with the login's "
            "name in place of CURRENT_LOGIN"
        ) from None
    finally:
        await owner.close()
