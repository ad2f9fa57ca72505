"""What is needed to run the worker somewhere."""
