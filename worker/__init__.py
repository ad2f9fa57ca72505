"""multimodal-worker: video frames, captions and audio in, alerts out."""

import os

# Before anything imports numpy. Its matrices are small here: more threads of its own would not make
# it faster, they would spin while they wait and take the cores from the encoders.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
