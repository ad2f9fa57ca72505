"""Encoders built from a team's own weights on disk, one module per library that has them."""
