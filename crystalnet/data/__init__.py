"""Where crystals come from, and how they become a data set."""
