"""The command line: thin; everything it does can be called from elsewhere."""
