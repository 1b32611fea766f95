"""What a configuration means: the nodes that it asks for and the addresses that follow from it.

Pure functions over frozen values;

Imports: config.
"""
