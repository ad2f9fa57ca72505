"""`mmworker fit`: from Observations, labelled or not, to a bundle.

Observations -> Dataset -> stages of training -> measures on what was held out -> Bundle
"""
