"""Adapters to frameworks that agents are written in; each needs the extra of its name, and is imported by its module."""
