"""(Logits, target) → scalar; one idea a file.

Every loss computes in float32 at least, whatever comes in; pixels left out have exactly zero gradient, and where
nothing is left the loss is 0 with zero gradient. No loss moves a value to the host, so none waits for the device.
"""
