"""How good decisions are: stored Observations against labelled events."""
