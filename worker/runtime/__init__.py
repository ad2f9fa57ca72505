"""The imperative shell: poll loop, stage threads, health; it composes and times, nothing else."""
