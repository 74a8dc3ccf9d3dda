"""How soon the dashboard shows a large bank: `python -m benchmarks.bench_dashboard --json`.

A gateway serves a bank of made-up patterns (`scale_data`) from a Redis in memory; each seed is a browser of its own
that has never been there: Chromium without a window or a graphics processor. Times are in ms from the beginning of the
navigation: `first_paint_ms` until anything is seen, `map_painted_ms` until every pattern is drawn. `live_ms` is what a
look takes, once a second; `map_bytes` what the map has; `ready_s` how long the gateway reads after its start.
"""

from __future__ import annotations

import os

# Threads of BLAS on a busy machine cost far more than they give; this must stand before NumPy loads.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from shutil import which
from typing import Any

from benchmarks.arguments import Options, say
from benchmarks.harness import Measurement, run_benchmark
from benchmarks.plots import save_bars
from benchmarks.scale_data import fill
from benchmarks.scale_redis import ScratchRedis
from benchmarks.seeds import summarise
from swarm.errors import InputError, RuntimeSetupError
from swarm.settings import Settings
from swarm.store.connection import connect
from swarm.wire.keys import SwarmKeys
from swarm_cli.local.gateway import find_gateway

_PATTERNS = 100_000
_START_S = 300.0
_PAINT_S = 60.0
_FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
_SHOWN = ("first_paint_ms", "map_painted_ms")
_TIMES = """
    const [first] = performance.getEntriesByName("first-contentful-paint");
    const [painted] = performance.getEntriesByName("map-painted");
    const live = performance.getEntriesByType("resource").find((one) => one.name.endsWith("/live"));
    return first && painted && live && [first.startTime, painted.startTime, live.duration];
"""
"""The page marks when the points are in the canvas."""


def measure(options: Options) -> Measurement:
    """All rounds; each is a row of metrics."""
    count = options.extra.patterns
    if which("chromium") is None or which("chromedriver") is None:
        raise InputError("chromium and chromedriver are needed, and are not on the PATH")
    with ScratchRedis() as redis:
        settings = redis.settings("dashboard")
        with connect(settings) as client:
            say(f"{count} patterns")
            fill(client, SwarmKeys(settings.name), count)
        began = time.monotonic()
        with _gateway(settings) as url:
            size = _map_size(url)
            ready_s = time.monotonic() - began
            rows = [_visit(url) | {"map_bytes": size, "ready_s": ready_s} for _ in range(options.seeds)]
    metrics = summarise(rows)
    return Measurement(
        data="scale",
        embedder="made up",
        metrics=metrics,
        draw=partial(
            save_bars,
            metrics={name: metrics[name] for name in _SHOWN},
            title=f"The dashboard with {count:,} patterns",
            value_label="ms",
            ours=_SHOWN,
        ),
    )


@contextmanager
def _gateway(settings: Settings) -> Iterator[str]:
    """A gateway of this swarm: its URL, once it answers."""
    given = {
        "SWARM_NAME": settings.name,
        "SWARM_REDIS_URL": settings.broker_url,
        "SWARM_STATE_DIR": str(settings.state_dir),
        "SWARM_EMBEDDER": settings.embedder,
        "SWARM_HTTP_PORT": "0",
    }
    command = [sys.executable, "-m", "swarm_cli", "serve"]
    with subprocess.Popen(command, env=os.environ | given, stdout=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + _START_S
            while (found := find_gateway(settings)) is None:
                if time.monotonic() > deadline or process.poll() is not None:
                    raise RuntimeSetupError("the gateway does not answer")
                time.sleep(0.05)
            yield found.url
        finally:
            process.terminate()


def _map_size(url: str) -> float:
    """Bytes of the map; until it has been read for the first time the gateway says that it is not there."""
    deadline = time.monotonic() + _START_S
    while True:
        try:
            with urllib.request.urlopen(f"{url}/v1/dashboard/map", timeout=_START_S) as answer:
                return float(len(answer.read()))
        except urllib.error.HTTPError:
            if time.monotonic() > deadline:
                raise RuntimeSetupError("the map was not read in time") from None
            time.sleep(0.1)


def _visit(url: str) -> dict[str, float]:
    """Open the page in a new browser, and wait until the map is painted."""
    # Here, so that nothing else needs it: it comes with the extra `dev`.
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    with tempfile.TemporaryDirectory(prefix="swarm-chromium-", ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = str(which("chromium"))
        for flag in (*_FLAGS, f"--user-data-dir={profile}", "--window-size=1400,900"):
            options.add_argument(flag)
        browser = webdriver.Chrome(options=options, service=Service(which("chromedriver")))
        try:
            browser.get(url)
            deadline = time.monotonic() + _PAINT_S
            found: Any = None
            while not found:
                if time.monotonic() > deadline:
                    raise RuntimeSetupError("the map was not painted in time")
                found = browser.execute_script(_TIMES)
                time.sleep(0.05)
        finally:
            browser.quit()
    return dict(zip((*_SHOWN, "live_ms"), map(float, found), strict=True))


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--patterns", type=int, default=_PATTERNS, metavar="N", help=f"patterns of the bank ({_PATTERNS})"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it from the command line."""
    run_benchmark("bench_dashboard", __doc__, measure, arguments, _arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
