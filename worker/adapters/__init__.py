"""The outside behind the ports: one vendor per module."""
