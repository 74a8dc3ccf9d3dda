"""MCP: the swarm as ten tools, over HTTP at `/mcp` and over stdio. Needs the extra `mcp`."""
