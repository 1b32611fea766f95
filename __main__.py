"""What `pulumi up` runs: the program of the stack."""

from kinky import program

program.main()
