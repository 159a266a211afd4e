"""From a pattern and a composition to scored answers."""
