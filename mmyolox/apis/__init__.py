"""Detection in images and videos of one's own, by a checkpoint or an exported file."""
