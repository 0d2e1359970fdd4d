"""Local users and API tokens: what is kept, what is right, and what has ended."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from healthmon.model.errors import ConfigError, Conflict, NotFound
from healthmon.runtime.clock import ManualClock
from healthmon.web.accounts import Account, Accounts, checked_id
from healthmon.web.people import role_of
from healthmon.web.permissions import Role
from healthmon.web.settings import SignIn
from healthmon.web.tokens import Tokens

WORDS = "three quiet wards"
DANA = Account("dana", "Dana Example", Role.ACT)


async def test_a_password_is_right_or_wrong_and_never_kept(tmp_path: Path) -> None:
    path = tmp_path / "users.json"
    accounts = Accounts(path)
    accounts.put(DANA, password=WORDS, new=True)
    assert await accounts.check("dana", WORDS) == DANA
    for user, password in (("dana", WORDS + " "), ("dana", ""), ("nobody", WORDS), ("", "")):
        assert await accounts.check(user, password) is None
    text = path.read_text()
    assert WORDS not in text
    assert "$argon2id$" in text
    assert path.stat().st_mode & 0o777 == 0o600


async def test_another_process_changes_a_user_and_it_holds_at_once(tmp_path: Path) -> None:
    here, there = Accounts(tmp_path / "users.json"), Accounts(tmp_path / "users.json")
    there.put(DANA, password=WORDS, new=True)
    assert here.find("dana") == DANA
    there.put(replace(DANA, disabled=True))
    assert here.find("dana") is None
    assert await here.check("dana", WORDS) is None
    there.put(replace(DANA, disabled=False))
    assert await here.check("dana", WORDS) == DANA


@pytest.mark.parametrize("password", ["", "short", "x" * 257, "aaaaaaaaaaaaaaaa", "dana-example"])
def test_a_weak_password_is_refused(tmp_path: Path, password: str) -> None:
    accounts = Accounts(tmp_path / "users.json")
    with pytest.raises(Conflict):
        accounts.put(replace(DANA, id="dana-example"), password=password, new=True)
    assert accounts.all() == {}


def test_users_are_made_once_and_changed_only_when_there(tmp_path: Path) -> None:
    accounts = Accounts(tmp_path / "users.json")
    accounts.put(DANA, password=WORDS, new=True)
    with pytest.raises(Conflict):
        accounts.put(DANA, password=WORDS, new=True)
    with pytest.raises(NotFound):
        accounts.put(replace(DANA, id="kim"))
    for id_ in ("", "Dana", "-a", "a b", "a" * 64, "a/b"):
        with pytest.raises(Conflict):
            checked_id(id_)


def test_a_file_of_somebody_else_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "users.json").write_text("[1]")
    with pytest.raises(ConfigError, match="not a table"):
        Accounts(tmp_path / "users.json").put(DANA, password=WORDS, new=True)
    assert (tmp_path / "users.json").read_text() == "[1]"


async def test_a_token_is_known_by_its_hash_until_its_end(tmp_path: Path) -> None:
    clock = ManualClock()
    tokens = Tokens(tmp_path / "tokens.json", clock=clock)
    made, text = tokens.make("grafana", Role.VIEW, by="Dana", expires_at=clock.now() + 3600)
    assert tokens.find(text) == made
    assert text.removeprefix("hm_").partition("_")[2] not in (tmp_path / "tokens.json").read_text()
    for wrong in ("", text[:-1], text + "x", text.replace("hm_", ""), f"hm_{made.id}_", f"hm__{text}"):
        assert tokens.find(wrong) is None
    assert Tokens(tmp_path / "tokens.json", clock=clock).find(text) == made
    await clock.advance(3601)
    assert tokens.find(text) is None


def test_a_revoked_token_is_none(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path / "tokens.json", clock=ManualClock())
    made, text = tokens.make("grafana", Role.VIEW, by="Dana", expires_at=None)
    tokens.revoke(made.id)
    assert tokens.find(text) is None
    with pytest.raises(NotFound):
        tokens.revoke("nothing")


def test_the_strongest_of_a_persons_roles_holds() -> None:
    sign_in = SignIn(groups={"it": Role.ACT, "net": Role.SILENCE}, people={"kim": Role.CONFIGURE})
    assert role_of(sign_in, "dana", ("it", "net", "other")) is Role.SILENCE
    assert role_of(sign_in, "kim", ("it",)) is Role.CONFIGURE
    assert role_of(sign_in, "dana", ("other",)) is None
    assert role_of(replace(sign_in, default_role=Role.VIEW), "dana", ()) is Role.VIEW
    assert role_of(sign_in, "dana", ("it",), Role.SILENCE) is Role.SILENCE


def test_each_role_holds_those_before_it() -> None:
    order = [Role.VIEW, Role.ACT, Role.SILENCE, Role.CONFIGURE]
    for place, role in enumerate(order):
        assert [role.holds(asked) for asked in order] == [n <= place for n in range(4)]
    assert not any(Role.PUBLIC.holds(asked) for asked in order)
