"""Files become samples: which pictures there are, how they are split, and what is to be learnt from them."""
