"""Sets the project up on a new machine: what `make setup` runs.

Standard library only, because it runs before anything is installed. `prerequisites`
looks at what the machine has and says everything that is missing at once; `steps`
makes `.venv`, installs Azurite and provides the Pulumi CLI; `__main__` runs them
and does nothing, within a second, when nothing has changed. `clean` takes all that away again.
"""
