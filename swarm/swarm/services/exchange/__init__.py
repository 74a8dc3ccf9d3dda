"""Agents taken elsewhere and back: whole, as adapters for other programs, and as data for training."""

from swarm.services.exchange.folder import FORMATS, ExportReport, export_agent_to
from swarm.services.exchange.imports import AgentImport, import_agents
from swarm.services.exchange.source import read_portable

__all__ = ["FORMATS", "AgentImport", "ExportReport", "export_agent_to", "import_agents", "read_portable"]
