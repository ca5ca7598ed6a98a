"""`mycelium bench`: what a backend does in a second, beside its bare driver in the same run."""
