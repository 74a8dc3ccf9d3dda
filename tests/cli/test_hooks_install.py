"""Hooks go into settings files and out again, and nobody else's text is touched."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cli_support import CommandLine
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from swarm.errors import InputError, RuntimeSetupError
from swarm.settings import Settings
from swarm_cli.hooks.checks import check_entries
from swarm_cli.hooks.entries import Client, Target, agent_of, entries_of, is_ours, portable_command, shim_command
from swarm_cli.hooks.installer import Installer
from swarm_cli.hooks.json_text import add, remove, scan
from swarm_cli.hooks.places import Scope, settings_file

CLIENTS: tuple[Client, ...] = ("claude-code", "codex", "cursor")
URL = "http://127.0.0.1:8787"
FILES = {
    "missing": None,
    "empty object": "{}",
    "with white space": " {\n\n}\n\n",
    "tabs": '{\n\t"model": "opus"\n}\n',
    "four spaces": '{\n    "permissions": {\n        "allow": ["Bash(ls)"]\n    },\n    "env": {}\n}',
    "one line": '{"a":1,"b":[1, 2],"hooks":{"Stop":[]}}',
    "windows": '{\r\n  "a": "\\u00fc{[\\"",\r\n  "hooks": {\r\n    "Stop": [ ]\r\n  }\r\n}\r\n',
    "byte order mark": '\ufeff{"a": "ü"}\n',
    "other hooks": """{
  "hooks": {
    "PostToolUse": [
      {"matcher": "Edit", "hooks": [{"type": "command", "command": "prettier --write"}]}
    ],
    "Notification": [{"hooks": [{"type": "command", "command": "say done"}]}]
  },
  "hooksNote": "mine"
}
""",
}


def target(**changes: Any) -> Target:
    return Target(**({"url": URL, "command": "swarm hook claude-code"} | changes))


def installer(settings: Settings, client: Client, path: Path, text: str | None) -> Installer:
    if text is not None:
        path.write_bytes(text.encode())
    return Installer(settings, client, path)


def install(made: Installer, client: Client, **changes: Any) -> None:
    made.apply(made.install(entries_of(client, target(command=f"swarm hook {client}", **changes))))


@pytest.fixture
def local(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path / "state")


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
def test_installed_and_uninstalled_a_file_is_what_it_was_to_the_byte(
    client: Client, text: str | None, local: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "settings.json"
    made = installer(local, client, path, text)
    install(made, client)
    found = json.loads(path.read_text(encoding="utf-8-sig"))
    assert made.installed() == entries_of(client, target(command=f"swarm hook {client}"))
    others = json.loads(text.removeprefix("\ufeff")) if text else {}
    assert found | {"hooks": None} == others | {"hooks": None} | (
        {"version": 1} if client == "cursor" and not text else {}
    )
    before = path.read_bytes()
    # A second time, and at another port, changes nothing of this.
    install(made, client)
    assert path.read_bytes() == before
    install(made, client, url="http://127.0.0.1:9999")
    if client == "claude-code":
        assert b"9999" in path.read_bytes()
        assert b"8787" not in path.read_bytes()
    made.apply(made.uninstall())
    assert (path.read_bytes() if path.exists() else None) == (None if text is None else text.encode())
    assert list((local.state_dir / "hooks").iterdir()) == []


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("has_state", [True, False])
def test_what_was_added_meanwhile_stays_and_ours_goes(
    client: Client, has_state: bool, local: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "settings.json"
    text = FILES["other hooks"]
    made = installer(local, client, path, text)
    install(made, client)
    path.write_text(path.read_text().replace('"hooksNote": "mine"', '"hooksNote": "mine",\n  "added": true'))
    if not has_state:
        for note in (local.state_dir / "hooks").iterdir():
            note.unlink()
    made.apply(made.uninstall())
    assert text is not None
    assert path.read_text() == text.replace('"hooksNote": "mine"', '"hooksNote": "mine",\n  "added": true')


def test_a_handler_that_somebody_put_beside_ours_stays(local: Settings, tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    made = installer(local, "claude-code", path, "{}")
    install(made, "claude-code")
    found = json.loads(path.read_text())
    found["hooks"]["Stop"][0]["hooks"].append({"type": "command", "command": "say done"})
    path.write_text(json.dumps(found, indent=2))
    made.apply(made.uninstall())
    assert json.loads(path.read_text()) == {
        "hooks": {"Stop": [{"hooks": [{"type": "command", "command": "say done"}]}]}
    }


@pytest.mark.parametrize(
    "text",
    ["", "{", "// comment\n{}", "[]", "null", '{"hooks": []}', '{"hooks": {"Stop": {}}}', "\udc80", "[" * 10_000],
)
def test_a_file_that_is_not_understood_is_left_alone(text: str, local: Settings, tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    before = path.read_bytes()
    made = Installer(local, "claude-code", path)
    with pytest.raises(InputError, match="nothing was changed") as caught:
        install(made, "claude-code")
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="nothing was changed"):
        made.uninstall()
    assert path.read_bytes() == before


def test_a_file_keeps_its_mode_and_a_link_its_place(local: Settings, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles.json"
    real.write_text("{}")
    real.chmod(0o640)
    (tmp_path / ".claude").mkdir()
    (tmp_path / ".claude" / "settings.json").symlink_to(real)
    made = Installer(local, "claude-code", settings_file("claude-code", "project", tmp_path))
    install(made, "claude-code")
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert (tmp_path / ".claude" / "settings.json").is_symlink()
    assert "hooks" in json.loads(real.read_text())


def test_a_file_of_ours_is_private(local: Settings, tmp_path: Path) -> None:
    path = tmp_path / "new" / "settings.json"
    install(Installer(local, "claude-code", path), "claude-code")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@hypothesis_settings(suppress_health_check=[HealthCheck.too_slow])  # on a busy machine
@given(
    value=st.dictionaries(st.text(max_size=6), JSON, max_size=4),
    indent=st.sampled_from([None, 0, 2, 4, "\t"]),
    added=JSON,
    is_ascii=st.booleans(),
)
def test_what_is_added_to_any_json_is_there_and_taken_out_again(
    value: dict[str, Any], indent: int | str | None, added: object, is_ascii: bool
) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=is_ascii)
    made = add(text, scan(text), added, "a new key")
    assert json.loads(made) == value | {"a new key": added}
    root = scan(made)
    assert remove(made, root, len(root.children) - 1) == (text if value else "{}")


def test_our_entries_are_known_by_what_they_call(tmp_path: Path) -> None:
    for client in CLIENTS:
        assert is_ours(client, {"type": "command", "command": portable_command(client)})
        assert is_ours(client, {"type": "command", "command": portable_command(client, "me")})
        assert is_ours(client, {"command": shim_command(client, tmp_path / "with space" / "x.sock", "me")})
        assert is_ours(client, {"type": "http", "url": f"http://gateway.example:1/v1/hooks/{client}"})
        for other in ("say swarm hook", f"echo {client}", f"my-{portable_command(client)}", "unbalanced '", ""):
            assert not is_ours(client, {"command": other})
    assert not is_ours("codex", {"command": "swarm hook cursor"})
    assert not is_ours("codex", {"type": "http", "url": "https://example.org/v1/hooks/other"})
    assert not is_ours("codex", ["swarm", "hook", "codex"])


def test_entries_are_those_of_the_contract() -> None:
    found = entries_of("claude-code", target(needs_token=True, agent="me"))
    for event, entry in found.items():
        [handler] = entry["hooks"]
        assert handler["type"] == ("command" if event == "SessionStart" else "http")
        assert 0 < handler["timeout"] <= 5
        if event in ("UserPromptSubmit", "Stop"):
            assert "matcher" not in entry
        if handler["type"] == "http":
            assert handler["url"] == f"{URL}/v1/hooks/claude-code"
            assert handler["headers"] == {"X-Swarm-Agent": "me", "Authorization": "Bearer $SWARM_TOKEN"}
            assert handler["allowedEnvVars"] == ["SWARM_TOKEN"]
    by_command = entries_of("claude-code", target(is_http=False))
    assert {handler["type"] for entry in by_command.values() for handler in entry["hooks"]} == {"command"}
    assert set(entries_of("cursor", target())["stop"]) == {"command", "timeout"}


def test_the_command_line_shows_a_difference_and_can_only_look(command_line: CommandLine, tmp_path: Path) -> None:
    command_line.environment |= {"HOME": str(tmp_path), "CLAUDE_CONFIG_DIR": "", "SWARM_HTTP_PORT": "8787"}
    path = tmp_path / ".claude" / "settings.json"
    looked = command_line.run("hooks", "install", "claude-code", "--dry-run")
    assert "+++" in looked.stdout
    assert not path.exists()
    done = command_line.json("hooks", "install", "claude-code")
    assert (done["changed"], done["path"]) == (True, str(path))
    assert "/v1/hooks/claude-code" in path.read_text()
    assert "in place already" in command_line.run("hooks", "install", "claude-code").stdout
    assert command_line.json("hooks", "uninstall", "claude-code", "--dry-run")["changed"] is False
    command_line.run("hooks", "uninstall", "claude-code")
    assert not path.exists()
    assert "No hooks of ours" in command_line.run("hooks", "uninstall", "claude-code").stdout
    path.write_text("{")
    assert "no JSON" in command_line.error("hooks", "install", "claude-code")
    assert "scope" in command_line.error("hooks", "install", "codex", "--local")


@pytest.mark.parametrize("client", CLIENTS)
def test_a_file_that_a_project_shares_names_the_agent_in_every_hook(
    client: Client, command_line: CommandLine, tmp_path: Path
) -> None:
    command_line.environment |= {"HOME": str(tmp_path), "SWARM_HTTP_PORT": "8787"}
    words = ["-m", "swarm_cli", "hooks", "install", client, "--project", "--agent", "project-x"]
    subprocess.run([sys.executable, *words], env=command_line.environment, cwd=tmp_path, check=True)
    [path] = [path for path in tmp_path.rglob("*.json") if path.parent.parent == tmp_path]
    hooks = json.loads(path.read_text())["hooks"]
    handlers = [handler for entries in hooks.values() for entry in entries for handler in entry.get("hooks", [entry])]
    assert {handler.get("command") or handler["headers"]["X-Swarm-Agent"] for handler in handlers} <= {
        f"swarm hook {client} '' project-x",
        "project-x",
    }


def test_the_doctor_says_what_is_missing_and_when_all_is_well(external: CommandLine, tmp_path: Path) -> None:
    external.environment |= {"HOME": str(tmp_path), "CLAUDE_CONFIG_DIR": "", "SWARM_EMBEDDER": "hashed:32"}
    missing = external.json("hooks", "doctor", "claude-code", code=1)
    assert {one["check"]: one["ok"] for one in missing["findings"]} == {"Hooks": False, "Gateway": False, "Kept": True}
    external.run("up")
    external.run("hooks", "install", "claude-code")
    well = external.json("hooks", "doctor", "claude-code")
    assert {one["check"]: one["ok"] for one in well["findings"]} == dict.fromkeys(
        ["Hooks", "Gateway", "Command", "Answers", "Kept"], True
    )
    assert well["counts"]["breaker"] == {"open": False, "failures": 0}
    path = tmp_path / ".claude" / "settings.json"
    path.write_text(path.read_text().replace('"timeout": 2', '"timeout": 9', 1))
    stale = external.json("hooks", "doctor", "claude-code", code=1)
    assert "not what" in stale["findings"][0]["detail"]
    assert stale["findings"][0]["remedy"] == "swarm hooks install claude-code"


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("agent", ["", "ada"])
def test_entries_say_which_agent_they_are_for(client: Client, agent: str, tmp_path: Path) -> None:
    for command in (shim_command(client, tmp_path / "socket", agent), portable_command(client, agent)):
        for is_http in (True, False):
            entries = entries_of(client, target(command=command, agent=agent, is_http=is_http))
            assert agent_of(client, entries) == agent
    assert agent_of(client, {}) == ""


def test_the_doctor_means_the_agent_that_the_hooks_name(command_line: CommandLine, tmp_path: Path) -> None:
    command_line.environment |= {"HOME": str(tmp_path), "CLAUDE_CONFIG_DIR": "", "SWARM_HTTP_PORT": "8787"}
    command_line.run("hooks", "install", "claude-code", "--agent", "ada")
    found = command_line.json("hooks", "doctor", "claude-code", code=1)["findings"][0]
    assert (found["check"], found["ok"], found["detail"]) == ("Hooks", True, "user: in place")
    other = command_line.json("hooks", "doctor", "claude-code", "--agent", "bob", code=1)["findings"][0]
    assert (other["ok"], "not what" in other["detail"]) == (False, True)


def test_the_remedy_of_hooks_that_are_stale_names_the_file_that_has_them(local: Settings, tmp_path: Path) -> None:
    scopes: tuple[Scope, ...] = ("user", "project", "local")
    files = {scope: installer(local, "claude-code", tmp_path / f"{scope}.json", None) for scope in scopes}
    install(files["project"], "claude-code")
    current = entries_of("claude-code", target())
    assert check_entries("claude-code", files, dict.fromkeys(scopes, current)).ok
    moved = entries_of("claude-code", target(url="http://127.0.0.1:9999"))
    found = check_entries("claude-code", files, dict.fromkeys(scopes, moved))
    assert (found.ok, found.remedy) == (False, "swarm hooks install claude-code --project")


def test_hooks_in_two_files_are_told_twice_and_the_doctor_says_so(local: Settings, tmp_path: Path) -> None:
    scopes: tuple[Scope, ...] = ("user", "project")
    files = {scope: installer(local, "claude-code", tmp_path / f"{scope}.json", None) for scope in scopes}
    for one in files.values():
        install(one, "claude-code")
    found = check_entries("claude-code", files, dict.fromkeys(scopes, entries_of("claude-code", target())))
    assert (found.ok, found.detail) == (False, "user: in place; project: in place; everything is told 2 times")
    assert found.remedy == "swarm hooks uninstall claude-code or swarm hooks uninstall claude-code --project"


def test_a_file_that_we_made_goes_when_nothing_else_is_in_it(local: Settings, tmp_path: Path) -> None:
    for client in CLIENTS:
        path = tmp_path / f"{client}.json"
        made = Installer(local, client, path)
        install(made, client)
        path.write_text(path.read_text() + "\n")
        made.apply(made.uninstall())
        assert not path.exists()


def test_what_somebody_wrote_meanwhile_is_not_written_over(local: Settings, tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    made = installer(local, "claude-code", path, "{}")
    change = made.install(entries_of("claude-code", target()))
    path.write_text('{"model": "opus"}')
    with pytest.raises(InputError, match="meanwhile"):
        made.apply(change)
    assert path.read_text() == '{"model": "opus"}'


def test_a_file_that_is_read_only_stays_as_it_is(local: Settings, tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    made = installer(local, "claude-code", path, "{}")
    path.chmod(0o444)
    with pytest.raises(RuntimeSetupError, match="read-only"):
        install(made, "claude-code")
    assert path.read_text() == "{}"


@pytest.mark.parametrize("depth", [600, 100_000])
def test_a_file_that_is_nested_deep_stays_as_it_is(depth: int, local: Settings, tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    text = '{"a":' + "[" * depth + "]" * depth + "}"
    made = installer(local, "claude-code", path, text)
    with pytest.raises(InputError, match="nested too deep"):
        install(made, "claude-code")
    assert path.read_text() == text
