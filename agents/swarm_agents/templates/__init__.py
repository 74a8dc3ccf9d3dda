"""Templates: what an agent is made from, as small TOML files beside this one."""

from swarm_agents.templates.files import domain_names, load_domain, load_template, template_names, template_text
from swarm_agents.templates.template import Domain, Template

__all__ = [
    "Domain",
    "Template",
    "domain_names",
    "load_domain",
    "load_template",
    "template_names",
    "template_text",
]
