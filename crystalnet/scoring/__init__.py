"""What an answer is worth: protocols, baselines, challenges."""
