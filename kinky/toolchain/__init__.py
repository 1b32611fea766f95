"""The programs that KinKy uses and does not write: found, fetched, or built from pinned modules, once.

`tools` is the entry. The pins are data in `toolchain/` and in the release files.

Imports: releases.
"""
