"""Where Mycelium keeps its state. Opened by URL through the entry points named `mycelium.backends`."""
