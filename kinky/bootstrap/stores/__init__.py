"""The secrets store as the operator sees it: one module for each kind, all of them a `Store`.

Who writes, lists, removes or proves something asks the `Store` and never which kind it is. Only `opening` knows that.
Values pass from memory to the store; none is returned further, logged, or given to Pulumi.
"""
