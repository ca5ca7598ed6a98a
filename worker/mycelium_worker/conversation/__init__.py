"""Letting a model do a task: what it is asked, what it may take, and what comes of it."""
