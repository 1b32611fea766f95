"""What the user asked for: frozen models, their defaults, and the rules that a configuration must keep.

The only place with defaults, and the only home of pydantic. Nothing here knows Pulumi, a cluster or the network; it
may import the foundation.
"""
