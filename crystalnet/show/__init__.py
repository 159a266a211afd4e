"""Data to figures and explorers; no science inside."""
