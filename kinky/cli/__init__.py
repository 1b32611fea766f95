"""The command line: arguments in, exit code out; `main.py` is the one place that prints a KinkyError.

Each module defines `build_parser(command)` for the commands that main.COMMANDS gives it; the parser's default `run`
does the work. Decisions live in the layers below: a command reads arguments, calls a function, prints the result.
Data goes to standard output, everything else to standard error. Imports that cost time stay inside the functions that
need them, because kubectl waits for `kinky credential`.

Imports: artefacts, bench, border, bundle, config, embedded, fit, forming, gate, images, kube, manifests, nodeimage,
ownership, reach, releases, report, rotation, scan, stacks, status, stores, toolchain, topology, why.
"""
