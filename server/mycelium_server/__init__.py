"""Serves the tools over MCP, and the command `mycelium`: the one room that joins the others."""
