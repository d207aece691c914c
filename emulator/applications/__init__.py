"""Applications and their packages: what they are, where they are kept, who may change them.

`catalogue` is the one implementation, which the Pulumi provider, Resource Manager's wire
(`wire`) and the data plane share; `blobs` puts the packages' bytes into auto-storage.
"""
