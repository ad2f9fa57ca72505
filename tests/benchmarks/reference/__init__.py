"""The same job as a user would write it without this project, to be compared with."""
