"""The workbench: six tools for working on a folder, as an MCP server of their own."""
