"""Images, curves and pages for a person."""
