"""The meaning of a configuration: the nodes that it asks for and the addresses that follow from it.

Pure functions over frozen values;

Imports: config.
"""
