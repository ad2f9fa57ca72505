"""How abnormal a Moment is, per source. numpy only, no I/O.

Three verbs: score (pure), learn (updates the state), decide (worker.core.alerts).
"""
