"""The addons of each inner cluster: one module per addon, and one table of them."""
