"""The whole runtime but the network client, in one thread and in virtual time, decided by a seed.

`python -m tests.simulation SEED` replays one seed; `make soak SEEDS=..` runs many on all cores.
"""
