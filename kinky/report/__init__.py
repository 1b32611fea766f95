"""One page that shows a cluster: verdicts, nodes, the timeline of its boot, evidence, certificates, replacements.

The page is one file without a script and without anything from elsewhere.

Imports: forming, gate, keys, operations, status, why.
"""
