"""Sample → sample: chance is drawn first, then acted out, so that every augmentation can be replayed."""
