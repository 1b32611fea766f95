"""Kubernetes bodies as dicts; pure functions of the configuration, the nodes and a few names.

Host side (in `cfg.host.namespace`):
    host_namespace.build_host_namespace(cfg)
    services.build_node_service(cfg, node)              services.build_endpoint_service(cfg)
    network_policy.build_network_policy(cfg)            storage.build_etcd_claim(cfg, node)
    user_data.build_user_data_secret(cfg, node, name=, user_data=, network_data=)
    virtual_machine.build_virtual_machine(cfg, node, image=, user_data_secret=, credentials_secret=, emulated=)
    stores.of(cfg).build_source(cfg)                    (with kind inCluster on the inner side)
Inner side (tuples in the order of creation):
    gate.build_gate(), build_closed_state()
    addons.table.build_addons(cfg, stage, ...)          secrets_store.build_store(cfg, server=, ca_bundle=)
    stores.of(cfg).build_rights(cfg)                    workload.build_workload(cfg)

Arguments of type `Late` may also be values that only a resource knows later: they are put in place and never opened.
Every field that the API would fill in is written out, so that a second `pulumi up` finds nothing to change.
No third-party manifest is copied.

Imports: config, topology.
"""
