"""The live step about a server that a secrets store has of its own; those of every kind of store are in `steps`."""

from __future__ import annotations

from pulumi import Output

from kinky.bootstrap.certificates import build_key_id
from kinky.bootstrap.keys import fetch_public_keys
from kinky.bootstrap.stores.store import StoreServer
from kinky.components.live_step import LiveStep, Properties, Step, parse_reach, parse_store


class StoreServedStep(Step):
    """Tell the store's server whose tokens to take and what they may read; take all of it away at the end."""

    def _run(self, inputs: Properties, previous: Properties) -> Properties:
        public_keys = fetch_public_keys(parse_reach(inputs).host(), str(inputs["cluster"]))
        _find_server(inputs).set_up(public_keys)
        return {"key_ids": [build_key_id(key) for key in public_keys]}

    def _undo(self, properties: Properties) -> None:
        _find_server(properties).tear_down()


class StoreServed(LiveStep, module="kinky", name="StoreServed"):
    """What the store's server was told: the ids of the public keys whose tokens it takes."""

    key_ids: Output[list[str]]


def _find_server(inputs: Properties) -> StoreServer:
    found = parse_store(inputs).server
    if found is None:
        raise TypeError("this step is for stores with a server of their own")
    return found
