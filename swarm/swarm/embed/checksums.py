"""Checksums of numbers that people are known by: they tell such a number from any other of its length.

Each answers how many characters from the beginning are the number, 0 if it is none: what follows in a text, another
number or a short word, may look like more of it.
"""

from __future__ import annotations

MIN_CARD, MAX_CARD = 13, 19
MIN_IBAN = 15


def luhn_part(found: str) -> int:
    """Card numbers (ISO/IEC 7812, annex B): from the right every second figure counts twice, the sum ends with 0.

    >>> luhn_part("4111 1111 1111 1111 123"), luhn_part("4111 1111 1111 1112")
    (19, 0)
    """
    ends = [end for end in range(len(found), 0, -1) if end == len(found) or not found[end].isdigit()]
    return next((end for end in ends if found[end - 1].isdigit() and _is_luhn(found[:end])), 0)


def _is_luhn(text: str) -> bool:
    digits = [int(sign) for sign in text if sign.isdigit()]
    doubled = [2 * digit - 9 * (digit > 4) for digit in digits[-2::-2]]
    return MIN_CARD <= len(digits) <= MAX_CARD and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def iban_part(found: str) -> int:
    """Bank accounts (ISO 13616): the first four signs behind the rest, letters as 10..35, remainder 1 by 97.

    >>> iban_part("DE89 3704 0044 0532 0130 00 BIC"), iban_part("DE88 3704 0044 0532 0130 00")
    (27, 0)
    """
    ends = [end for end in range(len(found), 0, -1) if found[end - 1].isalnum()]
    return next((end for end in ends if _is_iban(found[:end])), 0)


def _is_iban(text: str) -> bool:
    signs = [sign for sign in text if sign.isalnum()]
    if len(signs) < MIN_IBAN:
        return False
    return int("".join(str(int(sign, 36)) for sign in signs[4:] + signs[:4])) % 97 == 1


def ssn_part(found: str) -> int:
    """US social security numbers have no checksum; areas 000, 666 and 900-999, group 00 and serial 0000 are none.

    >>> ssn_part("078-05-1120"), ssn_part("900-05-1120")
    (11, 0)
    """
    digits = "".join(sign for sign in found if sign.isdigit())
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    is_valid = area not in ("000", "666") and area[0] != "9" and group != "00" and serial != "0000"
    return len(found) if is_valid else 0
