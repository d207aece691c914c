"""The main flow with azure-batch 14.2, in its own environment: URL, account and key come in
by the environment; one JSON object of what it saw goes out."""

# mypy: ignore-errors

import io
import json
import os
import sys
import time

from azure.batch import BatchServiceClient, models
from azure.batch.batch_auth import SharedKeyCredentials

batch = BatchServiceClient(
    SharedKeyCredentials(os.environ["ACCOUNT"], os.environ["KEY"]), batch_url=os.environ["URL"]
)
image = models.ImageReference(publisher="canonical", offer="ubuntu-24_04-lts", sku="server")
machine = models.VirtualMachineConfiguration(
    image_reference=image, node_agent_sku_id="batch.node.ubuntu 24.04"
)
batch.pool.add(
    models.PoolAddParameter(
        id="old",
        vm_size="Standard_D2s_v5",
        virtual_machine_configuration=machine,
        target_dedicated_nodes=1,
    )
)
batch.job.add(models.JobAddParameter(id="old", pool_info=models.PoolInformation(pool_id="old")))
tasks = [
    models.TaskAddParameter(id=f"t{n}", command_line=f"/bin/echo hello {n}") for n in range(120)
]
added = batch.task.add_collection("old", tasks[:100]).value
added += batch.task.add_collection("old", tasks[100:]).value
end = time.monotonic() + 120
while batch.job.get_task_counts("old").task_counts.completed < len(tasks):
    assert time.monotonic() < end, "the tasks did not end"
    time.sleep(0.2)
output = io.BytesIO()
for chunk in batch.file.get_from_task("old", "t7", "stdout.txt"):
    output.write(chunk)
properties = batch.file.get_properties_from_task("old", "t7", "stdout.txt", raw=True)
try:
    batch.pool.get("none")
except models.BatchErrorException as error:
    missing = error.error.code
listed = [task.id for task in batch.task.list("old", models.TaskListOptions(max_results=50))]
nodes = [node.state.value for node in batch.compute_node.list("old")]
batch.job.delete("old")
batch.pool.delete("old")
saw = {
    "statuses": sorted({result.status.value.lower() for result in added}),
    "added": len(added),
    "listed": len(listed),
    "output": output.getvalue().decode(),
    "length": properties.headers["Content-Length"],
    "missing": missing,
    "nodes": nodes,
}
sys.stdout.write(json.dumps(saw))
