"""Class maps repaired where the network was unsure: membranes that hold together and stay thin."""
