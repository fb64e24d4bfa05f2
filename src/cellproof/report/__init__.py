"""Pictures, curves and pages for a person."""
