"""Encoders and fusion: media -> unit vectors -> one vector. No network, no metrics."""
