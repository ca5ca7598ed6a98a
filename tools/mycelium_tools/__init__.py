"""What agents call over MCP: one thin function per tool, and how it is listed. Knows no transport."""
