"""Adapters to frameworks that agents are written in: a module each, which needs the extra of its name."""
