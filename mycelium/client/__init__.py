"""The client that users import."""

from mycelium.client.client import Mycelium, backend_for, open_backend
from mycelium.client.connection import Connection
from mycelium.client.monitor import WorkState
from mycelium.client.pipeline import Call, Pipeline

__all__ = ["Call", "Connection", "Mycelium", "Pipeline", "WorkState", "backend_for", "open_backend"]
