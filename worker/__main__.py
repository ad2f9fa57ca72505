"""`python -m worker` is `mmworker`."""

from worker.cli.app import main

main()
