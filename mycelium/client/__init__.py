"""The client that users import."""

from mycelium.client.client import Mycelium, backend_for, open_backend

__all__ = ["Mycelium", "backend_for", "open_backend"]
