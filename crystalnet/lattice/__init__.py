"""Cells of crystals from the positions of peaks, and the volumes that atoms take."""
