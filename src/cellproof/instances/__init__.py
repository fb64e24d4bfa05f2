"""Dense maps to label images, and label images to tables."""
