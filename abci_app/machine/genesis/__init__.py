"""Genesis: its fields, JSON, validation and the state built from it."""
