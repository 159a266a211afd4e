"""The command `crystalnet`: what the package does, from a shell."""
