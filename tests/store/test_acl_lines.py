"""Lines of `ACL SETUSER`: whose names may stand there, and that no password does."""

from __future__ import annotations

import pytest

from swarm.errors import InputError
from swarm.store.acl import redis_users

PASSWORD = "a-password-of-the-test"


@pytest.mark.parametrize("name", ["*", "a*", "a?c", "[a-z]", "a}", "a b", "a/b", "a~b", ""])
def test_a_name_that_would_be_a_pattern_is_no_name(name: str) -> None:
    with pytest.raises(InputError):
        redis_users(name)
    with pytest.raises(InputError):
        redis_users("abc", (name,))


def test_a_line_holds_no_password_and_a_short_one_is_refused() -> None:
    user = redis_users("abc", ("ada",))[-1]
    assert user.name == "abc~agent~ada"
    assert PASSWORD not in user.line(PASSWORD)
    with pytest.raises(InputError, match="16 characters") as caught:
        user.line("s3cret")
    assert "s3cret" not in str(caught.value)
