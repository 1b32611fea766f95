"""What `pulumi up` runs: the program, with an expected failure told by its text alone."""

import pulumi

from kinky import program
from kinky.errors import KinkyError

try:
    program.main()
except KinkyError as error:
    raise pulumi.RunError(str(error)) from None
