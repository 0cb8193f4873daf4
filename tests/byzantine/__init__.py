"""One faulty validator among real ones."""
