"""The second factor of the local issuer: one-time passwords by time (TOTP, RFC 6238).

A state folder has one secret, which only its owner can read. It protects against a leaked token, not against
somebody who can read the folder; elsewhere an OpenID Connect provider asks for the second factor.
"""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyotp

from deploy.standalone.certificates import write_private

STEP_SECONDS = 30
# So many steps before and after the present one are accepted: clocks differ, and people are slow.
STEPS_AROUND = 1
ACCOUNT, ISSUER_NAME = "operator", "Celeriac"


class WrongCode(Exception):
    """The code is not accepted; the text says why, and what to do."""


class SecondFactor:
    """The secret of a state folder, and the last step whose code was used: each code is accepted once."""

    def __init__(self, state: Path) -> None:
        self._path = state / "keys" / "totp.json"

    def enrol(self) -> str:
        """Makes a new secret, which replaces an earlier one; returns the otpauth URI for an authenticator."""
        secret = pyotp.random_base32()
        with self._locked():
            self._write(secret, used_step=-1)
        return pyotp.TOTP(secret, interval=STEP_SECONDS).provisioning_uri(
            name=ACCOUNT, issuer_name=ISSUER_NAME
        )

    def verify(self, code: str, now: float | None = None) -> int:
        """Returns the time (Unix, in seconds) at which the code was given; raises WrongCode."""
        now = time.time() if now is None else now
        if not self._path.exists():
            raise WrongCode("no second factor was made yet; make one by: make enrol")
        with self._locked():
            kept = json.loads(self._path.read_text())
            step = self._step_of(kept["secret"], code, now)
            if step is None:
                raise WrongCode("is not the code of now; for example: OTP=123456, from the authenticator")
            if step <= kept["used_step"]:
                raise WrongCode("was used already, and each code counts once: wait for the next one")
            self._write(kept["secret"], step)
        return int(now)

    def _step_of(self, secret: str, code: str, now: float) -> int | None:
        totp, current = pyotp.TOTP(secret, interval=STEP_SECONDS), int(now // STEP_SECONDS)
        for step in range(current - STEPS_AROUND, current + STEPS_AROUND + 1):
            if pyotp.utils.strings_equal(totp.generate_otp(step), code):
                return step
        return None

    def _write(self, secret: str, used_step: int) -> None:
        write_private(self._path, json.dumps({"secret": secret, "used_step": used_step}).encode())

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Makes two processes that check the same code at the same moment do so one after the other."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
