"""Files become samples: which images there are, how they are split, and what is to be learned from them."""
