"""Arrays in, arrays out: NumPy and torch alone."""
