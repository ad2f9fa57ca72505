"""How well anomalies are told from normal Moments and from nuisances: `make bench-quality`.

Scenes are rendered from real pictures, cut-out pedestrians and real sounds, so that what is there
is known to the Moment. Anomalies are pasted, mixed or written in: good for choosing between
designs and for regression, not as a claim about any camera.
"""
