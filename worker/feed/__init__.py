"""Media files in, input events out. What is made here are values: appending them is for others."""
