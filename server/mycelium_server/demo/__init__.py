"""The demo: several agents, each a process with its own MCP server, survey a folder of Python files together."""
