"""Second factors of people: one-time passwords by time (TOTP, RFC 6238), each person's secret sealed."""

from __future__ import annotations

import datetime as dt
import json

import pyotp

from services.door.store_factors import Factor, FactorStore
from services.kernel.database import Database
from services.kernel.errors import CeleriacError, Exhausted, FailedPrecondition, PermissionDenied
from services.kernel.sealing import KeyRing

STEP_SECONDS = 30
# So many steps before and after the present one are taken: clocks differ, and people are slow.
STEPS_AROUND = 1
ISSUER_NAME = "Celeriac"
# After so many wrong codes none is taken for a minute, and after each further one for twice as long, an hour
# at most. Three of a million codes are right at any moment: a year of guessing finds one with a chance of
# three in a hundred.
MOST_FAILURES = 5
LOCKED, LONGEST_LOCKED = dt.timedelta(minutes=1), dt.timedelta(hours=1)
NOT_ENROLLED = "no second factor was made for {}; whoever runs the system makes one by: make enrol USER={}"


class SecondFactors:
    def __init__(self, database: Database, keys: KeyRing) -> None:
        self._database = database
        self._keys = keys

    async def enrol(self, subject: str) -> str:
        """Makes a person's secret, which replaces an earlier one; returns the URI for an authenticator."""
        secret = pyotp.random_base32()
        sealed = json.dumps(dict(self._keys.seal(secret, _belongs_to(subject))))
        async with self._database.transaction() as connection:
            await FactorStore(connection).enrol(subject, sealed)
        totp = pyotp.TOTP(secret, interval=STEP_SECONDS)
        return totp.provisioning_uri(name=subject, issuer_name=ISSUER_NAME)

    async def check(self, subject: str, code: str, now: float) -> None:
        """Uses the code up. Raises why it is not taken, after a wrong one was counted.

        A right one that was used is not counted: whoever sends it knows the secret, or pressed twice.

        `PermissionDenied`: it is wrong, or was used. `Exhausted`: too many were wrong.
        `FailedPrecondition`: the person has no second factor.
        """
        async with self._database.transaction() as connection:
            store = FactorStore(connection)
            factor = await store.hold(subject)
            if factor is None:
                raise FailedPrecondition("SECOND_FACTOR_NOT_ENROLLED", NOT_ENROLLED.format(subject, subject))
            if factor.locked:
                raise Exhausted("too many wrong codes; wait, then give the next one", factor.locked)
            step = self._step_of(subject, factor, code, now)
            refusal = _refusal(step, factor)
            if refusal is None and step is not None:
                await store.taken(subject, step)
            elif step is None:
                failures = factor.failures + 1
                await store.refused(subject, failures, _locked_after(failures))
        if refusal is not None:
            raise refusal

    def _step_of(self, subject: str, factor: Factor, code: str, now: float) -> int | None:
        secret = self._keys.open(json.loads(factor.secret), _belongs_to(subject))
        totp, current = pyotp.TOTP(secret, interval=STEP_SECONDS), int(now // STEP_SECONDS)
        for step in range(current - STEPS_AROUND, current + STEPS_AROUND + 1):
            if pyotp.utils.strings_equal(totp.generate_otp(step), code):
                return step
        return None


def _locked_after(failures: int) -> dt.timedelta | None:
    if failures < MOST_FAILURES:
        return None
    doubled: int = 2 ** min(failures - MOST_FAILURES, 10)
    return min(LONGEST_LOCKED, LOCKED * doubled)


def _refusal(step: int | None, factor: Factor) -> CeleriacError | None:
    if step is None:
        return PermissionDenied(
            "SECOND_FACTOR_WRONG", "this code is wrong or has expired; enter the current one"
        )
    if step <= factor.used_step:
        return PermissionDenied("SECOND_FACTOR_WRONG", "this code was used already; wait for the next one")
    return None


def _belongs_to(subject: str) -> str:
    return f"second factor of {subject}"
