"""What a diffractometer measures: files, profiles, peaks, and their simulation."""
