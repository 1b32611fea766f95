"""Golden files: what each case's configuration renders to; `make golden` rewrites them and the diff is reviewed."""
