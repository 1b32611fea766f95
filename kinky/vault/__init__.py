"""Talking to a server with Vault's API: calls, their limits, and errors that a person can use; the only home of hvac.

Knows paths and not what they are for.

Imports: the foundation only.
"""
