"""Redaction: what each rule finds and leaves, checksums by hand, and that twice is once."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.embed.checksums import iban_part, luhn_part
from swarm.embed.redaction import NO_REDACTION, Redaction
from swarm.embed.redaction_rules import RULES

# What is between the signs « and » is found, and nothing else.
FOUND = {
    "email": ["«ada@example.org»", "<«Ada.B+x@mail.example.co.uk»>", "«jürgen@münchen.example»"],
    "iban": [
        "«DE89 3704 0044 0532 0130 00»",
        "«GB82WEST12345698765432»",
        "to «fr14 2004 1010 0505 0001 3m02 606» today",
    ],
    "card": ["«4111 1111 1111 1111»", "«5500-0000-0000-0004»", "«378282246310005»", "«4111.1111.1111.1111»"],
    "ssn": ["«078-05-1120»", "«078 05 1120»", "SSN «078051120»"],
    "record": ["MRN: «A-448812»", "medical record no. «12345»", "patient id «77-12»", "chart #«C1234»"],
    "insurance": [
        "insurance number «H123456789»",
        "policy no. «12-99881»",
        "member id: «XYZ100»",
        "Medicare «1EG4-TE5»",
    ],
    "account": [
        "account «12-34-56 78901234»",
        "acct. no. «0012345678»",
        "routing «021000021»",
        "customer id «C-99817»",
    ],
    "case": ["case no. «1:21-cv-00345»", "docket «2019/44»", "«4:19-cr-00012»", "Aktenzeichen «3-O-12/19»"],
    "date": ["«1962-03-14»", "«03/14/1962»", "«14.03.62»", "«14 March 1962»", "«March 14th, 1962»", "«3. März 1962»"],
    "phone": [
        *("«+1 (212) 555-0142»", "«555-123-4567»", "«(030) 12 34 56 7»", "«+49 30 1234567»", "tel.«0171-1234567»"),
        *("«5551234567»", "«555-1234»", "«555-123-4567» 2024"),
    ],
    "address": ["«12 Old Mill Road»", "«221b Baker Street»", "«Hauptstraße 5a»"],
    "parties": ["«Smith v. Jones Industries, Inc»", "plaintiff «Mary Ann O'Neil»", "defendant: «Acme Corp» paid"],
    "patient": ["patient «John Q. Smith»", "Patient: «Łukasz Nowak» fell", "patient's name is «Anna von der Heide»"],
    "person": ["Mr. «Brown» came", "Frau «Müller-Lüdenscheidt»", "Dr «Ngô»", "name: «Karl May»", "last name is «Ford»"],
}
LEFT = {
    "email": ["a @ b", "user@host", "@decorator"],
    "iban": ["DE88 3704 0044 0532 0130 00", "the word DE89 alone"],
    "card": ["4111 1111 1111 1112", "550e8400-e29b-41d4-a716-446655440000", "1111111111111117"],
    "ssn": ["000-12-3456", "900-12-3456", "123-45-67890"],
    "record": ["the medical record is lost", "chart a course"],
    "insurance": ["the policy is to wait", "member states"],
    "account": ["the account manager", "account for it"],
    "case": ["in any case we go", "in case of fire"],
    "date": ["2.10.3", "10:30", "1962-13-45", "in March"],
    "phone": ["2024-05-01", "3.14159265", "100 2000", "12345", "10:30:00"],
    "address": ["12 angry men", "the road"],
    "parties": ["version v. 2", "the plaintiff was late"],
    "patient": ["patient was late", "be patient"],
    "person": ["mr brown is no capital", "the name of it"],
}


@pytest.mark.parametrize("name", RULES)
def test_a_rule_finds_what_it_is_for_and_leaves_the_rest(name: str) -> None:
    rule = Redaction([name])
    for shown in FOUND[name]:
        text, expected = shown.replace("«", "").replace("»", ""), re.sub("«.*»", f"[{name}]", shown)
        for before, after in (("", ""), ("see ", ", and go on."), ("(", ")"), ("a\n", "\nb")):
            assert rule.text(before + text + after) == before + expected + after
    for text in LEFT[name]:
        assert rule.text(text) == text
        assert rule.text(f"see {text}, and go on") == f"see {text}, and go on"


def test_a_number_is_found_though_another_follows_it() -> None:
    both = Redaction(["card", "iban"])
    assert both.text("4111 1111 1111 1111 123 and 99 4111 1111 1111 1111") == "[card] 123 and 99 [card]"
    assert both.text("DE89 3704 0044 0532 0130 00 BIC COBA") == "[iban] BIC COBA"


@pytest.mark.parametrize("wrong", range(1, 10))
def test_a_checksum_tells_a_number_with_one_wrong_figure(wrong: int) -> None:
    card = "4992739871600003"
    good = [digit for digit in range(10) if luhn_part(card[:-1] + str(digit))]
    assert len(good) == 1
    assert luhn_part(card[:-1] + str((good[0] + wrong) % 10)) == 0
    assert iban_part("GB82WEST1234569876543" + str((2 + wrong) % 10)) == 0


words = st.sampled_from([*(text.strip("«»") for texts in FOUND.values() for text in texts), "and", ",", "(", "7", "A"])


@given(st.lists(words, max_size=8), st.sampled_from(["", " ", "\n"]), st.sets(st.sampled_from(sorted(RULES))))
def test_twice_is_once_and_the_order_of_rules_does_not_matter(parts: list[str], sign: str, names: set[str]) -> None:
    text = sign.join(parts)
    once = Redaction(names).text(text)
    assert Redaction(sorted(names, reverse=True)).text(once) == once


def test_text_inside_of_values_is_taken_out_and_keys_stay() -> None:
    value = {
        "to": ["ada@example.org", 3, None, b"ada@example.org"],
        "why": {"ada@example.org": "write ada@example.org"},
    }
    assert Redaction(["email"]).value(value) == {
        "to": ["[email]", 3, None, b"ada@example.org"],
        "why": {"ada@example.org": "write [email]"},
    }
    assert NO_REDACTION.value(value) is value


def test_no_text_takes_long() -> None:
    everything = Redaction(RULES)
    for unit in ("1", "a", "A ", "1.", "a@", "Aa v. ", "12-", "DE89 ", "0.", "patient A "):
        started = time.perf_counter()
        everything.text((unit * 16_384)[:16_384])
        # Well below a second; an expression that runs away takes hours.
        assert time.perf_counter() - started < 20.0
