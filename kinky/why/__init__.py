"""Why a node did not come up, or went away: the ladder from its declaration to a node that takes pods.

`reading.py` collects what host, guest and inner API say; `ladder.py` climbs, purely, and stops at the first rung that
is not there.

Imports: config, forming, gate, kube, manifests, reach, topology.
"""
