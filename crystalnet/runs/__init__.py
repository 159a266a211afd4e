"""A run: settings to data sets, networks, scores, records and published tables."""
