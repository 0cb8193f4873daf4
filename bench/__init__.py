"""Benchmarks: each prints a table and, with --json FILE, writes it as a list of rows (``report.py``)."""
