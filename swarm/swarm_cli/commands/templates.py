"""`swarm templates`."""

from __future__ import annotations

import tomllib

import click

from swarm_agents.templates import domain_names, load_domain, load_template, template_names, template_text
from swarm_cli.options import json_option
from swarm_cli.output import console, print_json, table


@click.group("templates", short_help="See what agents can be made from, to make one or to copy it.")
def command() -> None:
    """See what agents can be made from, to make one or to copy it.

    `swarm agents create` makes an agent from one.
    """


@command.command("list")
@json_option
def list_templates(as_json: bool) -> None:
    """List the templates, and the domains that can narrow them."""
    templates = [load_template(name) for name in template_names()]
    domains = [load_domain(name) for name in domain_names()]
    if as_json:
        print_json(
            {
                "templates": [template.as_dict() for template in templates],
                "domains": [domain.as_dict() for domain in domains],
            }
        )
        return
    made = table("template", "role", "what it is for")
    for template in templates:
        made.add_row(template.name, template.role, template.description)
    console().print(made)
    made = table("domain", "redacts")
    for domain in domains:
        made.add_row(domain.name, ", ".join(domain.policy.redact))
    console().print("\n", made)


@command.command("show")
@click.argument("template", metavar="NAME")
@json_option
def show(template: str, as_json: bool) -> None:
    """Print the TOML file of a template or a domain: redirect it into a file of your own, and change that."""
    text = template_text(template)
    if as_json:
        print_json({"name": template, "toml": text, "values": tomllib.loads(text)})
    else:
        click.echo(text, nl=False)
