"""Finds numbers of payment cards: 13 to 19 digits, whole or in groups, that an issuer may have given out.

Long numbers are mostly ids. So the first digits and the length must be those of a card scheme (ISO/IEC 7812,
https://en.wikipedia.org/wiki/Payment_card_number), and the last digit must be right by Luhn's formula, which
is so of one number in ten.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

FEWEST, MOST = 13, 19
# Digits of a card's number that is cut off: fewer tell nothing of it but its issuer.
FEWEST_OF_CUT = 8

# Of a digit with which a number may begin. What stands before it in a repr or in JSON may be an escape: \n,
# \u53f7.
_BEGINS = r"(?:(?<![A-Za-z0-9_.].)|(?<=\\[nrt].)|(?<=\\u[0-9a-fA-F]{4}.))"
# All digits that follow one another: what stands after them is looked at later, so that none is read twice.
_RUN = re.compile(rf"[0-9]{_BEGINS}(?:[ -]?[0-9])*+")
_GOES_ON = re.compile(r"[A-Za-z_]|\.[0-9]")
_CUT = re.compile(r"\.\.\.|…")
_GROUP = re.compile("[0-9]+")
# The first digits of a scheme's numbers, from and to, and how many digits a number has.
_SCHEMES = (
    ("4", "4", (13, 16, 19)),  # Visa
    ("51", "55", (16,)),  # Mastercard
    ("2221", "2720", (16,)),
    ("34", "34", (15,)),  # American Express
    ("37", "37", (15,)),
    ("62", "62", (16, 17, 18, 19)),  # UnionPay
    ("81", "81", (16, 17, 18, 19)),
    ("3528", "3589", (16, 17, 18, 19)),  # JCB
    ("6011", "6011", (16, 17, 18, 19)),  # Discover
    ("644", "649", (16, 17, 18, 19)),
    ("65", "65", (16, 17, 18, 19)),
    ("300", "305", (14, 16, 17, 18, 19)),  # Diners Club
    ("36", "36", (14, 16, 17, 18, 19)),
    ("38", "39", (14, 16, 17, 18, 19)),
    ("2200", "2204", (16, 17, 18, 19)),  # Mir
    ("50", "50", (13, 14, 15, 16, 17, 18, 19)),  # Maestro
    ("56", "58", (13, 14, 15, 16, 17, 18, 19)),
)


def cards_in(text: str) -> Iterator[tuple[int, int]]:
    """Yields where each card's number begins and ends, in order."""
    for run in _RUN.finditer(text):
        if run.end() - run.start() < FEWEST_OF_CUT:
            continue
        groups = [group.span() for group in _GROUP.finditer(text, *run.span())]
        if _GOES_ON.match(text, run.end()):
            del groups[-1]  # the begin of a word, or of a fraction
        cut = _CUT.match(text, run.end()) is not None
        yield from _cards_of(text, groups, cut)


def _cards_of(text: str, groups: list[tuple[int, int]], cut: bool) -> Iterator[tuple[int, int]]:
    first = 0
    while first < len(groups):
        last = _last_group(text, groups, first, cut)
        if last is None:
            first += 1
        else:
            yield groups[first][0], groups[last][1]
            first = last + 1


def _last_group(text: str, groups: list[tuple[int, int]], first: int, cut: bool) -> int | None:
    """Returns the group with which a number ends that begins with `first`; None if none does."""
    digits = ""
    for number in range(first, len(groups)):
        start, end = groups[number]
        digits += text[start : min(end, start + MOST + 1)]
        if len(digits) > MOST:
            return None
        if is_card(digits):
            return number
        if cut and number == len(groups) - 1 and len(digits) >= FEWEST_OF_CUT and _of_issuer(digits):
            return number
        # Of four digits each, or of 4, 6 and the rest.
        if end - start not in (4, 6) or (number == first and end - start != 4):
            return None
    return None


def is_card(digits: str) -> bool:
    return FEWEST <= len(digits) <= MOST and _of_issuer(digits, len(digits)) and luhn(digits)


def _of_issuer(digits: str, length: int | None = None) -> bool:
    """Whether numbers of a scheme begin so. `length`: how many digits there are, None if some are cut off."""
    return any(
        low <= digits[: len(low)] <= high and (length is None or length in lengths)
        for low, high, lengths in _SCHEMES
    )


def luhn(digits: str) -> bool:
    """Whether the last digit is right (ISO/IEC 7812-1, annex B)."""
    total = sum(map(int, digits[-1::-2]))
    return (total + sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])) % 10 == 0
