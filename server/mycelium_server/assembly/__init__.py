"""Where the rooms are joined: each module here joins what its name says."""
