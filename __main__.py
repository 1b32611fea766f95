"""What `pulumi up` runs: the program, with each failure told by its text alone."""

from kinky import program
from kinky.components.told import told_by_pulumi

with told_by_pulumi("the Pulumi program of a stack"):
    program.main()
