"""The markdown backend: a folder that people read, edit and commit."""

from mycelium_backends.markdown.backend import MarkdownBackend, open_backend
from mycelium_backends.markdown.url import folder_of, url_of

__all__ = ["MarkdownBackend", "folder_of", "open_backend", "url_of"]
