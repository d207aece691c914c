"""Pulumi components, one a file, each `(name, args, opts)`.

Children get `ResourceOptions(parent=self)` and what is theirs alone; a component's own
options are never merged into them, because that loses the parent and leaks aliases and
protection. Components know nothing of each other: `infra.platform` wires them.
"""
