"""Bundles: fitted fusion and agreement, and what they were fitted on, as a directory.

manifest.json            SHA-256 of each file, version of the format
config.json              operator, dimensions, classes, pairs
preprocessing.json       what of a Moment goes in, and which encoders made it
calibration.json         what agreement and confidence were on pairs that were held out
model.safetensors        `worker.models.bundles.joint`
encoders/MODALITY/       tuned encoders: weights and, of transformers, the other files
MODEL_CARD.md, fit.html, history.json    for people; no part of the digest
"""
