"""multimodal-worker: video frames, captions and audio in, alerts out."""
