"""What fusion, agreement and tuning are worth on rendered cameras: `make bench-fusion`.

On each camera and day something is going on in two fifths of the time. Picture, sound and caption
each witness it or miss it, and show harmless things of their own. Nobody sees all of it.
"""
