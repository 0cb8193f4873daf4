"""The project's own lint: each check takes a path and its text and returns one line for each thing it refuses."""
