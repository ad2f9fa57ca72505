"""Bytes from strangers -> image, waveform or text. Every bound is checked before the decoding."""
