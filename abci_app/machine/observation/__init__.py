"""Observations of validators: projections, segments, vote extensions, reports and agreement."""
