"""A stack without a command line: its file, its passphrase, its environment, and Pulumi's engine for it.

Besides `components` and `program`, pulumi is imported here only.

Imports: components, config, kube, ownership, reach, scan, stores, toolchain,
topology.
"""
