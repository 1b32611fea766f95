"""From VMs that were made to a cluster that is proved from outside: tables of requirements, and one loop that waits.

`requirements` is the loop, `tables` the order, `checks` the single questions, `diagnose` the evidence of a failure.

Imports: keys, kube, reach, vault.
"""
