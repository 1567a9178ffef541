"""The local issuer's second factor: a code counts once, in its time."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyotp
import pytest

from deploy.standalone.second_factor import STEP_SECONDS, SecondFactor, WrongCode

NOW = 1_795_500_000.0


@pytest.fixture
def factor(tmp_path: Path) -> SecondFactor:
    return SecondFactor(tmp_path)


def authenticator(uri: str) -> pyotp.TOTP:
    found = pyotp.parse_uri(uri)
    assert isinstance(found, pyotp.TOTP)
    return found


def test_an_authenticators_code_counts_once(factor: SecondFactor) -> None:
    app = authenticator(factor.enrol())
    code = app.at(int(NOW))
    assert factor.verify(code, NOW) == int(NOW)
    with pytest.raises(WrongCode, match="counts once"):
        factor.verify(code, NOW + 1)
    assert factor.verify(app.at(int(NOW) + STEP_SECONDS), NOW + STEP_SECONDS)


def test_a_code_of_before_one_that_was_used_counts_no_more(factor: SecondFactor) -> None:
    app = authenticator(factor.enrol())
    factor.verify(app.at(int(NOW)), NOW)
    with pytest.raises(WrongCode, match="counts once"):
        factor.verify(app.at(int(NOW) - STEP_SECONDS), NOW)


@pytest.mark.parametrize("steps", [-1, 0, 1])
def test_a_clock_may_be_off_by_a_step(factor: SecondFactor, steps: int) -> None:
    app = authenticator(factor.enrol())
    assert factor.verify(app.at(int(NOW) + steps * STEP_SECONDS), NOW)


@pytest.mark.parametrize("steps", [-2, 2, 100])
def test_a_code_of_another_time_does_not_count(factor: SecondFactor, steps: int) -> None:
    app = authenticator(factor.enrol())
    with pytest.raises(WrongCode, match="OTP=123456"):
        factor.verify(app.at(int(NOW) + steps * STEP_SECONDS), NOW)


@pytest.mark.parametrize("code", ["", "abc", "１２３４５６", "0" * 100, "12345"])
def test_nonsense_does_not_count(factor: SecondFactor, code: str) -> None:
    factor.enrol()
    with pytest.raises(WrongCode):
        factor.verify(code, NOW)


def test_without_enrolment_it_is_told_how_to(factor: SecondFactor) -> None:
    with pytest.raises(WrongCode, match="make enrol"):
        factor.verify("123456")


def test_a_new_enrolment_ends_the_old_one(factor: SecondFactor) -> None:
    old = authenticator(factor.enrol())
    new = authenticator(factor.enrol())
    with pytest.raises(WrongCode):
        factor.verify(old.at(int(NOW)), NOW)
    assert factor.verify(new.at(int(NOW)), NOW)


def test_of_several_that_give_one_code_at_once_one_gets_in(factor: SecondFactor) -> None:
    code = authenticator(factor.enrol()).at(int(NOW))

    def enters(_: int) -> bool:
        try:
            return bool(factor.verify(code, NOW))
        except WrongCode:
            return False

    with ThreadPoolExecutor(8) as people:
        assert sum(people.map(enters, range(8))) == 1


def test_the_secret_is_for_its_owner_only(factor: SecondFactor, tmp_path: Path) -> None:
    authenticator(factor.enrol()).at(int(time.time()))
    assert (tmp_path / "keys/totp.json").stat().st_mode & 0o777 == 0o600
