"""What a build's schema looks like and how to read it: the only part of the projector that reports may import."""
