"""What validators saw: events as projections, segments, vote extensions, reports and agreement."""
