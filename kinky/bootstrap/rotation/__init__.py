"""Rotation of the keys of a living cluster: each item is a list of sub-steps, written down on the host when done.

A sub-step may be cut off at any call and is then run again, so each one looks first at what is there. What restarts a
node deletes its VM instance: nodes are replaced, never repaired. Only names and fingerprints are written down or told.
Imports what `kinky.bootstrap` imports; only the command line imports this.
"""
