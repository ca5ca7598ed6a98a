"""What the whole must show: many server processes on one store, and what may happen to them."""
