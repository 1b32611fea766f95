"""The leak scanner: it knows the secrets of a stack and looks for them wherever they might have gone.

`secret` holds a value without ever showing it, `encodings` and `unfold` tell in which forms it may stand somewhere,
`search` finds it, `files`, `repository`, `host` and `disks` are the places to look at, `kind` names what is there,
`expected` says where a secret may be and must be, `report` what that means. Detectors that guess what looks like a
secret found next to nothing in the artefacts of this project, so nothing here guesses.

Imports: kube, vault.
"""
