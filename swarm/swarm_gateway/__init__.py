"""The gateway: where agents that are no Python functions live, and what people look at, over HTTP."""
