"""Models as C99 sources."""
