"""The templates that come with the package, and a user's own."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar

from swarm.errors import InputError, shown
from swarm_agents.templates.template import Domain, Template

_T = TypeVar("_T")
_ENDING = ".toml"


def template_names() -> tuple[str, ...]:
    """The templates that come with the package."""
    return _names(_templates())


def domain_names() -> tuple[str, ...]:
    """The domains likewise."""
    return _names(_domains())


def template_text(name: str) -> str:
    """The file of a template, or of a domain, to be read or copied.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    for folder in (_templates(), _domains()):
        if name in _names(folder):
            return folder.joinpath(name + _ENDING).read_text("utf-8")
    raise InputError(
        f"template must be one of {', '.join(template_names())}, or a domain of {', '.join(domain_names())}, "
        f"got {shown(name, 60)}"
    )


def load_template(source: str | Path, domain: str | None = None) -> Template:
    """A template by its name, or a user's own by the path of its file, which ends with `.toml`.

    Parameters
    ----------
    domain : narrows it, see `Template.within`

    Raises
    ------
    InputError
        If there is no such template, domain or file, or a value in it cannot be used; the message names the file.
    """
    if isinstance(source, Path) or str(source).endswith(_ENDING):
        path = Path(source)
        template = _parsed(path.stem, _own_text(path), Template.parse, str(path))
    elif source in template_names():
        template = _parsed(source, template_text(source), Template.parse, source)
    else:
        names = ", ".join(template_names())
        raise InputError(f"template must be one of {names}, or the path of a .toml file, got {shown(source, 60)}")
    return template if domain is None else template.within(load_domain(domain))


def load_domain(name: str) -> Domain:
    """A domain by its name; errors as in `load_template`."""
    if name not in domain_names():
        raise InputError(f"domain must be one of {', '.join(domain_names())}, got {shown(name, 60)}")
    return _parsed(name, template_text(name), Domain.parse, name)


def _templates() -> Traversable:
    return files("swarm_agents.templates")


def _domains() -> Traversable:
    return _templates().joinpath("domains")


def _names(folder: Traversable) -> tuple[str, ...]:
    return tuple(sorted(one.name.removesuffix(_ENDING) for one in folder.iterdir() if one.name.endswith(_ENDING)))


def _own_text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"template {str(path)!r:.200} cannot be read: {error}") from error


def _parsed(name: str, text: str, parse: Callable[[str, Mapping[str, Any]], _T], where: str) -> _T:
    try:
        return parse(name, tomllib.loads(text))
    except (tomllib.TOMLDecodeError, InputError) as error:
        raise InputError(f"template {where}: {error}") from error
