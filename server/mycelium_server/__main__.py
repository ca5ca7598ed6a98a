"""`python -m mycelium_server`: the command, where its script is not on the path."""

from mycelium_server.cli import main

if __name__ == "__main__":
    main()
