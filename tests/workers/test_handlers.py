"""Handlers are found in the modules that are named, and nowhere else; what cannot be one is refused."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from swarm.errors import BoundsError, InputError, RuntimeSetupError
from swarm.settings import Settings
from swarm_workers import processes
from swarm_workers.handlers import Handler, Permanent, Retry, Stopped, Task, find_handler, handler, load_handlers
from swarm_workers.plan import RolePlan, plan_of


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes an importable module of some code; afterwards it is gone."""
    monkeypatch.syspath_prepend(str(tmp_path))
    made: list[str] = []

    def make(code: str) -> str:
        name = f"handlers_{len(made)}_{tmp_path.name}".replace("-", "_")
        (tmp_path / f"{name}.py").write_text("from swarm_workers.handlers import handler\n" + code)
        made.append(name)
        return name

    yield make
    for name in made:
        sys.modules.pop(name, None)


def some_task(**changes: Any) -> Task:
    given: dict[str, Any] = {
        "id": "coder:0",
        "role": "coder",
        "text": "x",
        "payload": {},
        "agent": "coder",
        "attempt": 1,
        "tell": lambda fraction, note: True,
    }
    return Task(**given | changes)


CODER = '@handler("coder")\ndef code(task): return task.text\n'


def test_a_handler_is_found_by_its_role_and_can_be_called_like_its_function(module: Any) -> None:
    name = module(CODER + '@handler("tester")\ndef test(task): return "tested"\n')
    assert set(load_handlers([name])) == {"coder", "tester"}
    found = find_handler("coder", [name])
    assert isinstance(found, Handler)
    assert found(some_task(text="hello")) == "hello"


def test_a_handler_that_another_module_imports_is_the_same_one(module: Any) -> None:
    first = module(CODER)
    second = module(f"from {first} import code\n")
    assert find_handler("coder", [first, second]).role == "coder"


def test_two_handlers_of_one_role_are_refused(module: Any) -> None:
    names = [module(CODER), module(CODER)]
    with pytest.raises(RuntimeSetupError, match="role 'coder' has two handlers"):
        load_handlers(names)


def test_a_role_without_handler_and_a_module_that_is_not_there_are_clear_errors(module: Any) -> None:
    name = module(CODER)
    with pytest.raises(RuntimeSetupError, match=rf"no handler for role 'tester' in {name}: found coder"):
        find_handler("tester", [name])
    with pytest.raises(RuntimeSetupError, match="cannot import the handlers 'no_such_module'"):
        load_handlers(["no_such_module"])


def test_what_cannot_be_a_handler_is_refused() -> None:
    async def later(task: Task) -> None: ...

    with pytest.raises(InputError, match="plain function"):
        handler("coder")(later)
    with pytest.raises(InputError, match="role must be"):
        handler("a b")
    with pytest.raises(BoundsError, match="delay must be"):
        Retry(delay=-1.0)
    assert (Retry("why", delay=2).delay, str(Permanent("why"))) == (2.0, "why")


def test_progress_of_a_task_that_is_not_wanted_stops_it_through_any_except_exception() -> None:
    told: list[tuple[float, str]] = []

    def tell(fraction: float, note: str) -> bool:
        told.append((fraction, note))
        return len(told) < 2

    task = some_task(tell=tell)
    task.progress(0.5, "half way")

    def careless() -> None:
        try:
            task.progress(0.6)
        except Exception:  # as handlers do
            return

    with pytest.raises(Stopped):
        careless()
    assert told == [(0.5, "half way"), (0.6, "")]


def test_a_plan_travels_in_the_environment_and_no_other_process_s_plan_does(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = RolePlan(role="coder", handlers=("a.b", "c"), agent="ada", factory="x.y:make")
    monkeypatch.setenv("SWARM_TOKEN", "whose token started it")
    environment = processes.worker_environment(settings, plan)
    assert plan_of(environment) == plan
    assert "SWARM_TOKEN" not in environment
    assert plan.agent_name == "ada"
    assert RolePlan(role="coder", handlers=("a",)).agent_name == "coder"
    for name, value in plan.environment().items():
        monkeypatch.setenv(name, value)
    assert plan_of(processes.worker_environment(settings)) is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"role": "a b"}, "role must be"),
        ({"handlers": ()}, "handlers must name a module"),
        ({"handlers": ("a,b",)}, "handlers must be names of modules"),
        ({"handlers": ("../x",)}, "handlers must be names of modules"),
        ({"agent": "{x}"}, "agent must be"),
        ({"factory": "os.system"}, "factory must be MODULE:FUNCTION"),
    ],
)
def test_a_plan_is_checked(values: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"role": "coder", "handlers": ("a",)}
    with pytest.raises(InputError, match=message):
        RolePlan(**given | values)
