"""What Azure Resource Manager would do with the resources that this project declares.

One model (`model`, `resources`), three ways in: a Pulumi provider over gRPC
(`provider`) that the real engine drives, `mocks` for unit tests of the program,
and the tests of the model itself. What the model makes real (pools, containers)
goes through `backend`.
"""
