"""Azure on a laptop: the Batch service, Resource Manager and blob storage, on loopback.

`service` is the wire, `engine` the pure scheduler, `nodes` runs the tasks, `arm`
is what Azure Resource Manager would do with the resources that this project
declares. `local` says where the local state lives. Nothing here imports `infra`
or `jobs`: they talk to it as they talk to Azure.
"""
