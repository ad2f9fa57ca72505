"""The demonstration: a real scene as package data, and what plays it."""
