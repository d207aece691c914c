"""Scans what every stack registers with a policy scanner of others: checkov's ARM checks.

`infra` judges a stack by its own rules; this asks people who know Azure and not this
project. The resources that the program registers are written as Resource Manager templates
(`template`), checkov looks at them in an environment of its own, offline (`checkov`), and
what it finds is either mended or excepted with a reason (`exceptions`, exceptions.yaml).

Not here: rules of this project's own (`infra.rules`), and anything that asks Azure.
"""
