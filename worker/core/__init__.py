"""Pure heart of the worker: events, merging, pairing, ledger, policy. No I/O and no clock in here.

All times are integers, microseconds since the Unix epoch, unless a name says otherwise.
"""
