"""Commands of who sets a network up."""
