"""Layers point down only, the sides meet in bytes and keys, and nothing heavy or dangerous creeps in."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "swarm": ROOT / "swarm" / "swarm",
    "swarm_gateway": ROOT / "swarm" / "swarm_gateway",
    "swarm_cli": ROOT / "swarm" / "swarm_cli",
    "swarm_agents": ROOT / "agents" / "swarm_agents",
    "swarm_workers": ROOT / "workers" / "swarm_workers",
}
LAYERS = ("errors", "sona", "embed", "settings", "wire", "store", "telemetry", "services")
MAY_IMPORT = {
    "swarm": {"swarm"},
    "swarm_agents": {"swarm", "swarm_agents"},
    "swarm_workers": {"swarm", "swarm_workers"},
    "swarm_gateway": {"swarm", "swarm_agents", "swarm_workers", "swarm_gateway"},
    "swarm_cli": set(PACKAGES),
}
NEVER = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}


@dataclass(frozen=True)
class Import:
    """One imported module: its dotted name, where it is imported, and whether inside a function."""

    name: str
    path: Path
    line: int
    is_local: bool

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line} imports {self.name}"


def sources() -> list[Path]:
    return sorted(path for folder in PACKAGES.values() for path in folder.rglob("*.py"))


def imports_of(path: Path) -> Iterator[Import]:
    """Every import in a file, also those under `TYPE_CHECKING`."""
    tree = ast.parse(path.read_text())
    local = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} has a relative import"
            # `from package import module` imports the module too.
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            yield Import(name, path, node.lineno, node in local)


ALL_IMPORTS = [found for path in sources() for found in imports_of(path)]


def package_of(path: Path) -> str:
    return next(name for name, folder in PACKAGES.items() if path.is_relative_to(folder))


def layer_of(path: Path) -> str | None:
    """The layer of a file of package `swarm`; None for its `__init__`, which imports nothing."""
    if package_of(path) != "swarm":
        return None
    name = path.relative_to(PACKAGES["swarm"]).parts[0].removesuffix(".py")
    return None if name == "__init__" else name


def test_every_module_of_the_package_swarm_is_in_a_layer() -> None:
    assert {layer_of(path) for path in sources() if package_of(path) == "swarm"} == {None, *LAYERS}


def test_lower_layers_never_import_higher_ones() -> None:
    wrong = []
    for found in ALL_IMPORTS:
        mine, parts = layer_of(found.path), found.name.split(".")
        if mine is not None and parts[0] == "swarm" and LAYERS.index(parts[1]) > LAYERS.index(mine):
            wrong.append(str(found))
    assert wrong == []


def test_packages_import_only_what_lies_below_them() -> None:
    wrong = [
        str(found)
        for found in ALL_IMPORTS
        if (top := found.name.split(".")[0]) in PACKAGES and top not in MAY_IMPORT[package_of(found.path)]
    ]
    assert wrong == []


def test_the_package_itself_imports_nothing() -> None:
    assert list(imports_of(PACKAGES["swarm"] / "__init__.py")) == []


def test_the_numeric_core_imports_numpy_and_the_standard_library_only() -> None:
    for found in ALL_IMPORTS:
        if layer_of(found.path) == "sona":
            top = found.name.split(".")[0]
            assert top in {"numpy", *sys.stdlib_module_names} or found.name.startswith(("swarm.sona.", "swarm.errors."))


@pytest.mark.parametrize("module", ["time", "os", "threading", "logging", "random", "socket", "io", "pathlib"])
def test_the_numeric_core_reads_no_clock_environment_or_file_and_takes_no_lock(module: str) -> None:
    assert [str(f) for f in ALL_IMPORTS if layer_of(f.path) == "sona" and f.name.split(".")[0] == module] == []


def test_an_import_inside_a_function_says_why() -> None:
    # The command line loads each command when it is called: that is its start-up time, and said once in `main`.
    wrong = []
    for found in ALL_IMPORTS:
        if not found.is_local or package_of(found.path) == "swarm_cli":
            continue
        lines = found.path.read_text().splitlines()
        row = found.line - 1
        while lines[row - 1].lstrip().startswith(("from ", "import ")):
            row -= 1
        is_optional = lines[row - 1].strip() == "try:" and "except ImportError" in "\n".join(lines[row : row + 5])
        has_reason = "#" in lines[found.line - 1] or lines[row - 1].lstrip().startswith("#")
        if not (is_optional or has_reason):
            wrong.append(str(found))
    assert wrong == []


def test_nothing_is_ever_pickled() -> None:
    assert [str(found) for found in ALL_IMPORTS if NEVER & set(found.name.split("."))] == []
    for path in (*sources(), *ROOT.glob("benchmarks/*.py"), *ROOT.glob("examples/*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            where = f"{path}:{getattr(node, 'lineno', 0)}"
            # A serializer or content type by name, as Celery takes it.
            assert not (
                isinstance(node, ast.Constant) and node.value in {"pickle", "application/x-python-serialize"}
            ), where
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {"np.load", "numpy.load"}:
                allowed = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                assert allowed.get("allow_pickle") == "False", where


def test_no_text_is_ever_run_as_code() -> None:
    runs = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "yaml.load", "yaml.unsafe_load"}
    # Modules by name: our own commands, the standard library's for the demo, and what the operator named (handlers,
    # the factory of agents, the embedder), and a table of grammars. No name comes from Redis.
    by_name = {"lazy.py", "standard_library.py", "handlers.py", "hooks.py", "registry.py", "languages.py"}
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name, where = ast.unparse(node.func), f"{path}:{node.lineno}"
                assert name not in runs, where
                assert "import_module" not in name or path.name in by_name, where
                assert not any(
                    keyword.arg == "shell" and ast.unparse(keyword.value) != "False" for keyword in node.keywords
                ), where


def test_one_module_knows_opentelemetry_and_is_loaded_inside_a_function() -> None:
    # redis-py imports it where it is installed; this project does not, unless there is somewhere to send spans.
    assert {f.path.name for f in ALL_IMPORTS if f.name.split(".")[0] == "opentelemetry"} == {"otel.py"}
    loads = [found for found in ALL_IMPORTS if found.name.startswith("swarm.telemetry.otel")]
    assert {found.path.name for found in loads} == {"spans.py"}
    assert any(found.is_local for found in loads)


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("swarm", ["numpy", "redis", "pydantic", "celery", "sklearn", "msgpack"]),
        ("swarm.sona", ["redis", "pydantic", "celery", "kombu", "sklearn", "msgpack", "scipy", "matplotlib", "rich"]),
        ("swarm.embed", ["redis", "pydantic", "celery", "sklearn", "msgpack", "wordllama", "tokenizers", "httpx"]),
        ("swarm_agents", ["celery", "kombu", "sklearn", "matplotlib", "rich", "prometheus_client"]),
    ],
)
def test_importing_a_package_loads_nothing_heavy(module: str, heavy: list[str]) -> None:
    code = f"import sys, {module}; print(*sorted(sys.modules), sep='\\n')"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    loaded = {name.split(".")[0] for name in run.stdout.split()}
    assert module.split(".")[0] in loaded
    assert loaded & set(heavy) == set()


def isort_order(name: str) -> tuple[int, str]:
    """Constants, then classes, then functions, each by name: the order that the linter asks for."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name


@pytest.mark.parametrize(
    "path", [path for path in sources() if path.name == "__init__.py"], ids=lambda path: path.parent.name
)
def test_public_names_of_a_package_are_listed_sorted_and_complete(path: Path) -> None:
    tree = ast.parse(path.read_text())
    imported = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module != "__future__"
        for alias in node.names
    }
    name = ".".join(path.parent.relative_to(PACKAGES[package_of(path)].parent).parts)
    listed = getattr(importlib.import_module(name), "__all__", None)
    if listed is None:
        assert imported == set(), f"{name} imports names but has no __all__"
        return
    assert listed == sorted(listed, key=isort_order)
    assert len(set(listed)) == len(listed)
    assert set(listed) - {"__version__"} == {public for public in imported if not public.startswith("_")}
    module = importlib.import_module(name)
    assert all(hasattr(module, public) for public in listed)
