"""Files become samples: which pictures there are, how they are split, and what is to be learned from them."""
