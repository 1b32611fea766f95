"""A server of Vault's HTTP API for tests: what External Secrets and KinKy call, with faults that a test switches on.

Signatures, claims, policies, times to live and versions are really checked: a test that passes because this server
looks away would prove nothing. What it cannot enforce it refuses. It follows Vault 1.14.8: the tests of
its answers pass against that too (`tests/vault_real`). Everything is in memory; it prints no request and no value.
"""
