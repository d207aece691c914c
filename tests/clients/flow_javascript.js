// The main flow with @azure/batch: URL, account and key come in by the environment; one JSON
// object of what it saw goes out.
const { BatchServiceClient, BatchSharedKeyCredentials } = require("@azure/batch");

const { URL: url, ACCOUNT: account, KEY: key } = process.env;
const batch = new BatchServiceClient(new BatchSharedKeyCredentials(account, key), url);

async function text(response) {
  const chunks = [];
  for await (const chunk of response.readableStreamBody) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

async function main() {
  await batch.pool.add({
    id: "js",
    vmSize: "Standard_D2s_v5",
    virtualMachineConfiguration: {
      imageReference: { publisher: "canonical", offer: "ubuntu-24_04-lts", sku: "server" },
      nodeAgentSKUId: "batch.node.ubuntu 24.04",
    },
    targetDedicatedNodes: 1,
  });
  await batch.job.add({ id: "js", poolInfo: { poolId: "js" } });
  const items = [...Array(30).keys()].map((n) => ({
    id: `t${n}`,
    commandLine: `/bin/echo hello ${n}`,
  }));
  const added = await batch.task.addCollection("js", items);
  const end = Date.now() + 120_000;
  while ((await batch.job.getTaskCounts("js")).taskCounts.completed < items.length) {
    if (Date.now() > end) throw new Error("the tasks did not end");
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  const output = await text(await batch.file.getFromTask("js", "t7", "stdout.txt"));
  let listed = [];
  let page = await batch.task.list("js", { taskListOptions: { maxResults: 20 } });
  listed.push(...page);
  while (page.odatanextLink) {
    page = await batch.task.listNext(page.odatanextLink);
    listed.push(...page);
  }
  let missing = "";
  try {
    await batch.pool.get("none");
  } catch (error) {
    missing = error.code ?? error.body?.code;
  }
  const nodes = (await batch.computeNode.list("js")).map((node) => node.state);
  await batch.job.deleteMethod("js");
  await batch.pool.deleteMethod("js");
  const statuses = [...new Set(added.value.map((result) => result.status.toLowerCase()))];
  console.log(
    JSON.stringify({ statuses, added: added.value.length, listed: listed.length, output, missing, nodes })
  );
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
