"""The MCP servers whose tools a worker offers: from the file that names them to the calls."""
