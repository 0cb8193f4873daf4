"""The first state: its form, its JSON, the checks that refuse it, the records it becomes."""
