"""A bundle: one folder with all that explains a failure, looked through for secrets before it is there.

`pieces.py` says what a piece is, `host.py` and `inside.py` list those of the two clusters, `write.py` gathers, has them
looked through, and publishes. kubectl writes the descriptions, as everybody knows them.

Imports: forming, kube, status, topology, toolchain.
"""
