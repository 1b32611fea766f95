"""What each inner cluster runs for itself: one module per addon, and one table of them."""
