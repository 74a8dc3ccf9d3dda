"""The dashboard as a person meets it: a real browser, a real gateway, what agents really learned."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser_support import Page, chromium
from rest_support import RunningGateway, consolidate_all, served
from support import wait_until
from swarm_support import DIM, environment, make_swarm, some_outcome

from swarm.services.access import AccessControl
from swarm.services.swarm import Swarm
from swarm.sona.config import SonaConfig
from swarm.store.connection import connect
from swarm.wire.route_records import Budget
from swarm.wire.token_records import Role
from swarm_agents import Agent

pytestmark = pytest.mark.timeout(300)
HOSTILE = '<img src=x onerror="document.title=1337"><script>document.title=1337</script>'
AGENTS = ("ada", "bob", "cyd")
SHOWN = ("name", "role", "verdict", "generation", "accepted", "consolidated")


@pytest.fixture(scope="module")
def gateway(redis_server: str) -> Iterator[RunningGateway]:
    with served(redis_server, consolidate_delay=0.0) as made:
        teach(made)
        yield made


@pytest.fixture(scope="module")
def page(gateway: RunningGateway) -> Iterator[Page]:
    with chromium(gateway.url) as made:
        yield made


@pytest.fixture
def swarm(gateway: RunningGateway) -> Iterator[Swarm]:
    with connect(gateway.settings) as client:
        yield make_swarm(gateway.settings, client)


def teach(gateway: RunningGateway) -> None:
    """Three agents at work on a handful of kinds of tasks, hostile ones among them, on two routes; and dead tasks."""
    with connect(gateway.settings) as client:
        swarm = make_swarm(gateway.settings, client)
        config = SonaConfig(dim=DIM)
        agents = [Agent(name, role="coder", swarm=swarm, config=config) for name in AGENTS]
        kinds = ("sum a column", "rename a file", "parse a date", "sort a list", HOSTILE)
        for turn in range(6):
            for number, agent in enumerate(agents):
                for kind in kinds:
                    advice = agent.before_task(f"{kind} number {turn}", routes=["small", "large"])
                    assert advice.route is not None
                    is_large = advice.route.route == "large"
                    agent.after_task(
                        advice.trajectory_id,
                        success=(turn + number) % 4 != 0,
                        output=f"do: {kind}",
                        route=advice.route.route,
                        latency_ms=900.0 if is_large else 200.0,
                        cost=0.02 if is_large else 0.002,
                    )
            consolidate_all(gateway.settings)
        for agent in agents:
            agent.close()
        swarm.router.budgets.put("swarm", Budget(amount=5.0, period_s=86_400.0))
        for number in range(2):
            swarm.submit(f"{HOSTILE} task {number}", role="coder")
            claimed = swarm.tasks.claim("coder", "worker", 30.0)
            assert claimed is not None
            swarm.tasks.fail(claimed, "ValueError: no such column", retry=False)


def status_of(gateway: RunningGateway) -> dict[str, object]:
    """What `swarm status --json` prints."""
    command = [sys.executable, "-m", "swarm_cli", "status", "--json"]
    printed = subprocess.run(command, env=environment(gateway.settings), capture_output=True, check=True).stdout
    found: dict[str, object] = json.loads(printed)
    return found


def is_drawn(page: Page) -> bool:
    return bool(page.run("return performance.getEntriesByName('map-painted').length"))


def ink(page: Page) -> int:
    """Pixels of the map that are not empty."""
    script = """
        const canvas = document.getElementById("points");
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        let count = 0;
        for (let at = 3; at < data.length; at += 4) count += data[at] > 0;
        return count;
    """
    return int(page.run(script))


def test_the_figures_are_those_of_swarm_status(gateway: RunningGateway, page: Page) -> None:
    page.open()
    status = status_of(gateway)
    agents = status["agents"]
    assert isinstance(agents, list)
    expected = {
        "patterns": status["patterns"],
        "agents": len(agents),
        "accepted": sum(agent["accepted"] for agent in agents),
        "learned": sum(agent["consolidated"] for agent in agents),
        "waiting": status["pending"],
        "lost": status["lost"],
    }
    for name, value in expected.items():
        assert page.text(f"#figure-{name}") == f"{value:,}"
    page.go("agents")
    rows = [page.text(f"#agents tbody tr:nth-child({row + 1})").split() for row in range(len(agents))]
    assert [row[:6] for row in rows] == [
        [agent[name] if isinstance(agent[name], str) else f"{agent[name]:,}" for name in SHOWN] for agent in agents
    ]


def test_a_point_of_the_map_says_who_learned_it_and_from_which_runs(page: Page, swarm: Swarm) -> None:
    page.open("map")
    page.wait(lambda: is_drawn(page), "the map")
    assert ink(page) > 100
    page.says("#detail", "Most evidence")
    assert str(swarm.status().patterns) in page.text("#caption")
    page.one("#plane").send_keys("\ue007")  # Enter: the pattern nearest to the middle
    page.says("#detail", "From which runs")
    pattern_id = page.text("#detail .pairs .mono")
    pattern = swarm.pattern(pattern_id)
    text = page.text("#detail")
    for source in pattern.summary.sources:
        assert source.agent in text
    for example in pattern.examples:
        assert example.trajectory_id in text
    page.click("#detail button", "Close")
    page.says("#detail", "Most evidence")


def test_pointing_at_a_point_names_it_and_pressing_it_opens_it(page: Page) -> None:
    page.open("map")
    page.wait(lambda: is_drawn(page), "the map")
    place = "document.getElementById('plane')"
    # Somewhere there is a point: the first pixel that is full.
    x, y = page.run(
        "const canvas = document.getElementById('points'), width = canvas.width;"
        "const { data } = canvas.getContext('2d').getImageData(0, 0, width, canvas.height);"
        "let at = 3; while (data[at] < 180) at += 4;"
        f"const pixel = (at - 3) / 4, box = {place}.getBoundingClientRect();"
        "return [box.left + pixel % width, box.top + Math.floor(pixel / width)]"
    )
    for kind, button, buttons in (("mouseMoved", "none", 0), ("mousePressed", "left", 1), ("mouseReleased", "left", 0)):
        page.driver.execute_cdp_cmd(
            "Input.dispatchMouseEvent",
            {
                "type": kind,
                "x": x,
                "y": y,
                "button": button,
                "buttons": buttons,
                "clickCount": int(kind != "mouseMoved"),
            },
        )
        if kind == "mouseMoved":
            page.wait(lambda: page.shown("#tip"), "the name of the point")
            assert "outcome" in page.text("#tip")
    page.says("#detail", "Who learned it")


def test_asking_finds_what_the_swarm_knows(page: Page, swarm: Swarm) -> None:
    page.open("map")
    page.wait(lambda: is_drawn(page), "the map")
    page.type("#question", "parse a date number 3")
    page.says("#detail", "For “parse a date number 3”")
    expected = swarm.query("parse a date number 3", k=12)
    assert f"{len(expected)} pattern" in page.text("#detail")
    page.click("#detail button.link")
    page.wait(lambda: page.text("#detail .pairs .mono") == expected[0].pattern_id, "the best hit")


def test_colours_have_a_legend_and_one_can_be_seen_alone(page: Page, swarm: Swarm) -> None:
    page.open("map")
    page.wait(lambda: is_drawn(page), "the map")
    full = ink(page)
    for by, name in (
        ("type", swarm.bank.patterns()[0].task_type),
        ("quality", "works"),
        ("trust", "confirmed"),
        ("agent", "ada"),
    ):
        page.click(f"[data-by={by}]")
        page.says("#legend", name)
    page.click("#legend button", "ada")
    page.wait(lambda: 0 < ink(page) < full, "only one agent's patterns")
    page.click("#legend button", "ada")
    page.wait(lambda: ink(page) == full, "all of them again")
    page.click("[data-zoom=in]")
    page.wait(lambda: ink(page) != full, "a closer look")
    page.click("[data-zoom=all]")
    page.wait(lambda: ink(page) == full, "everything")


def test_a_pattern_is_pinned_unpinned_and_forgotten_after_a_question(page: Page, swarm: Swarm) -> None:
    page.open("map")
    page.says("#detail", "Most evidence")
    page.click("#detail ol li:last-child button")
    page.says("#detail", "From which runs")
    pattern_id = page.text("#detail .pairs .mono")
    page.click("#detail button", "Pin")
    page.one("#detail button", "Unpin")
    assert [pin.id for pin in swarm.retention().pins] == [pattern_id]
    page.click("#detail button", "Unpin")
    page.one("#detail button", "Pin")
    assert swarm.retention().pins == ()
    page.click("#detail button", "Forget")
    page.says("#ask", "cannot be undone")
    page.click("#ask button", "Cancel")
    page.wait(lambda: not page.shown("#ask"), "the question to be gone")
    assert swarm.bank.pattern(pattern_id) is not None
    page.click("#detail button", "Forget")
    page.click("#ask-yes")
    wait_until(lambda: swarm.bank.pattern(pattern_id) is None, 30.0, "the pattern to be forgotten")
    assert [stone.id for stone in swarm.tombstones()] == [pattern_id]
    page.wait(lambda: f"{swarm.status().patterns} pattern" in page.text("#caption"), "the map without it")


def test_an_agent_is_put_in_quarantine_and_released(gateway: RunningGateway, page: Page, swarm: Swarm) -> None:
    page.open("agents/cyd")
    page.click("#agents button", "Quarantine")
    page.says("#ask", "can be released at any time")
    page.click("#ask-yes")
    page.says("#agents tbody tr:nth-child(3)", "quarantined by an operator")
    consolidate_all(gateway.settings)
    assert all("cyd" not in pattern.agents for pattern in swarm.bank.patterns())
    page.click("#agents button", "Release")
    page.wait(lambda: "quarantined" not in page.text("#agents tbody tr:nth-child(3)"), "the release")
    consolidate_all(gateway.settings)
    assert any("cyd" in pattern.agents for pattern in swarm.bank.patterns())


def test_an_agent_goes_back_to_a_version_after_a_question(gateway: RunningGateway, page: Page, swarm: Swarm) -> None:
    swarm.record(some_outcome(1, "bob"), "bob-1")
    consolidate_all(gateway.settings)
    page.open("agents")
    page.click("#agents tbody a", "bob")
    page.says("#agents", "Reported quality")
    before = swarm.history("bob")
    page.click("#agents button", f"Roll back to {before[1].version}")
    page.says("#ask", "This makes a new version")
    page.click("#ask-yes")
    wait_until(lambda: swarm.agents.state("bob").generation > before[0].version, 30.0, "the rollback")
    assert swarm.history("bob")[0].kind == "rollback"
    page.says("#agents", f"rollback to {before[1].version}")


def test_the_charts_show_what_is_stored_of_each_version(page: Page) -> None:
    page.open("agents/ada")
    page.wait(lambda: page.all("#agents .chart canvas"), "a chart")
    drawn = page.run(
        "return [...document.querySelectorAll('#agents .chart canvas')].map((canvas) => {"
        " const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);"
        " return data.some((value) => value > 0); })"
    )
    assert drawn
    assert all(drawn)


def test_decisions_of_the_router_are_explained(page: Page, swarm: Swarm) -> None:
    page.open("router")
    latest = swarm.decisions(1)[0]
    page.says("#router", "Latest decisions")
    page.click("#router summary")
    page.says("#router details[open]", latest.decision.id)
    for candidate in latest.again.candidates:
        assert candidate.route in page.text("#router details[open]")
    assert latest.decision.why in page.text("#router details[open]")
    page.says("#router", "of $5")


def test_receipts_are_looked_up_and_dead_letters_replayed_and_dropped(page: Page, swarm: Swarm) -> None:
    page.open("receipts")
    page.type("#receipt-id", f"merge/{swarm.status().bank_version}")
    page.says("#receipts .tag", "published")
    page.type("#receipt-id", "no such id")
    page.wait(lambda: "published" not in page.text("#receipts .columns > :first-child"), "an answer")
    assert [view.state for view in swarm.tasks.dead()] == ["dead", "dead"]
    page.says("#receipts .dead", "ValueError: no such column")
    page.click("#receipts .dead button", "Replay")
    wait_until(lambda: len(swarm.tasks.dead()) == 1, 30.0, "the replay")
    assert swarm.tasks.counts()[0].waiting == 1
    page.wait(lambda: len(page.all("#receipts .dead > li")) == 1, "one letter fewer")
    page.click("#receipts .dead button", "Drop")
    page.says("#ask", "cannot be undone")
    page.click("#ask-yes")
    wait_until(lambda: not swarm.tasks.dead(), 30.0, "the drop")
    page.says("#receipts", "no task failed for good")


def test_work_shows_queues_and_that_nobody_works(page: Page, swarm: Swarm) -> None:
    page.open("work")
    page.says("#work", "No worker is alive")
    page.says("#work", swarm.status().bank_version)
    page.says("#work", "coder")
    page.go("hooks")
    page.says("#hooks", "No hooks yet")


def test_the_tabs_are_used_by_keys_and_say_which_is_open(page: Page) -> None:
    page.open("map")
    page.one("#tab-map").send_keys("\ue014")  # arrow to the right
    page.wait(lambda: page.shown("#agents"), "the next view")
    assert page.run("return document.activeElement.id") == "tab-agents"
    assert page.run("return document.querySelector('[aria-selected=true]').id") == "tab-agents"
    unnamed = (
        "return [...document.querySelectorAll('button, input, a, canvas, [role=img]')]"
        ".filter((one) => one.checkVisibility() && !one.innerText && !one.ariaLabel && !one.ariaHidden)"
        ".filter((one) => !one.labels?.length).map((one) => one.outerHTML)"
    )
    assert page.run(unnamed) == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_texts_can_be_read_on_their_grounds(page: Page, dark: bool) -> None:
    page.look(dark=dark)
    page.open("map")
    ratio = """
        const style = getComputedStyle(document.documentElement);
        const light = (name) => {
          const digits = parseInt(style.getPropertyValue(name).trim().slice(1), 16);
          const [r, g, b] = [16, 8, 0].map((shift) => ((digits >> shift) & 255) / 255)
            .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
          return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const contrast = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
        return contrast(arguments[0], arguments[1]);
    """
    for ground in ("--paper", "--sheet", "--fill"):
        for text in ("--ink", "--soft", "--accent", "--good", "--warn", "--bad"):
            assert page.run(ratio, text, ground) >= 4.5, f"{text} on {ground}"
    assert page.run(ratio, "--on-accent", "--accent") >= 4.5
    for place in range(8):
        assert page.run(ratio, f"--c{place}", "--sheet") >= 3.0, f"colour {place}"
    page.look()


@pytest.mark.parametrize("view", ["map", "agents/ada", "work", "router", "receipts", "hooks"])
def test_on_a_phone_nothing_hangs_over_the_edge(page: Page, view: str, tmp_path: Path) -> None:
    page.look(width=390, height=844, ratio=2)
    try:
        page.open(view)
        page.wait(
            lambda: page.run(f"return document.getElementById('{view.split('/')[0]}').innerText.length") > 20, view
        )
        assert page.run("return document.documentElement.scrollWidth - innerWidth") <= 0
        page.shoot(tmp_path / "phone.png")
    finally:
        page.look()


def test_the_theme_follows_the_switch_and_stays(page: Page, tmp_path: Path) -> None:
    page.open("map")
    ground = "return getComputedStyle(document.body).backgroundColor"
    light = page.run(ground)
    page.shoot(tmp_path / "light.png")
    page.click("#theme")
    page.click("#theme")
    page.says("#theme", "dark")
    dark = page.run(ground)
    assert dark != light
    page.shoot(tmp_path / "dark.png")
    page.open("map")
    assert page.run(ground) == dark
    page.click("#theme")
    page.says("#theme", "system")
    assert page.run(ground) == light


def test_it_says_since_when_it_is_stale_and_is_live_again(gateway: RunningGateway, page: Page) -> None:
    page.open("map")
    assert gateway.process is not None
    port = gateway.url.rpartition(":")[2]
    gateway.kill()
    page.says("#pulse", "stale since")
    page.says("#pulse", "the gateway is away")
    gateway._variables["HTTP_PORT"] = port
    gateway.restart()
    page.says("#pulse", "live")
    # What could not be loaded meanwhile is in the console, as it should be.
    page.complaints()
    page.noted.clear()


def test_without_a_token_it_asks_for_one_and_keeps_it_in_the_tab(redis_server: str) -> None:
    with served(redis_server, {"HTTP_REQUIRE_TOKEN": "true"}) as guarded, chromium(guarded.url) as page:
        with connect(guarded.settings) as client:
            token, _ = AccessControl(guarded.settings, client).create(Role.READER)
        page.driver.get(guarded.url)
        page.type("#token", "wrong")
        page.wait(lambda: page.shown("#login") and "token" in page.text("#login-text"), "the question again")
        page.type("#token", token)
        page.says("#pulse", "live")
        assert page.run("return sessionStorage.getItem('swarm-token')") == token
        assert page.run("return JSON.stringify(localStorage)").find(token) == -1
        page.go("router")
        page.says("#router", "a reader may not")
        page.driver.refresh()
        page.says("#pulse", "live")


def test_what_agents_reported_stays_text_and_nothing_comes_from_elsewhere(gateway: RunningGateway, page: Page) -> None:
    for view in ("map", "agents/ada", "work", "router", "receipts", "hooks"):
        page.open(view)
        assert all(address.startswith(gateway.url) for address in page.addresses())
    page.open("map")
    page.wait(lambda: is_drawn(page), "the map")
    page.type("#question", HOSTILE)
    page.says("#detail", "For “<img src=x")
    page.click("#detail button.link")
    page.says("#detail", "From which runs")
    assert HOSTILE[:20] in page.text("#detail")
    assert page.run("return document.title") != "1337"
    assert page.all("main img") == []
    assert page.complaints() == []
