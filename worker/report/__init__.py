"""The pages that people look at: report.html and timeline.png."""
