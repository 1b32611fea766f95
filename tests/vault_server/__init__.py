"""A server of Vault's HTTP API for tests: what External Secrets and KinKy call, with faults that a test switches on.

Signatures, claims, policies, times to live and versions are really checked: a test that passes because this server
looks away would prove nothing. `make vault` runs the tests of the API against HashiCorp Vault too. What it cannot
enforce it refuses. Everything is in memory; it prints no request and no value.
"""
