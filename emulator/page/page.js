// Draws what `/_emulator/overview` says, again whenever it says something else, and what was
// clicked on. Text from outside only ever becomes text: elements are made here, never parsed.
"use strict";

const PERIOD_MS = 1000;
const OUTPUT_KEPT = 262144;
const STATE_CLASS = {
  idle: "idle", running: "running",
  creating: "waiting", starting: "waiting", rebooting: "waiting", reimaging: "waiting",
  waitingforstarttask: "waiting", upgradingos: "waiting",
  unusable: "failing", starttaskfailed: "failing", unknown: "failing",
  preempted: "gone", leavingpool: "off", offline: "off", deallocating: "off", deallocated: "off",
};
const GROUPS = ["all", "active", "running", "succeeded", "failed"];
const byId = (id) => document.getElementById(id);
const number = (value) => value.toLocaleString("en");

/** An element: its tag with classes (`p.note`), properties or attributes, children. */
function el(tag, more = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const made = document.createElement(name);
  if (classes.length) made.className = classes.join(" ");
  for (const [key, value] of Object.entries(more)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

async function ask(path, options = {}) {
  const answer = await fetch(`/_emulator/${path}`, { cache: "no-cache", ...options });
  if (!answer.ok) {
    const text = await answer.text();
    let message = text;
    try { message = JSON.parse(text).errors.join("; "); } catch { /* it was no JSON */ }
    throw Object.assign(new Error(message || `HTTP ${answer.status}`), { answered: true });
  }
  return answer;
}

// What is looked at: in the URL's fragment, so that Back works and a link can be kept.

const path = (...parts) => parts.map(encodeURIComponent).join("/");
const go = (...parts) => { location.hash = path(...parts); };
const looked = () => location.hash.slice(1).split("/").filter(Boolean).map(decoded);

/** A part of the fragment; what nobody can have encoded stays as it is, and names nothing. */
function decoded(part) {
  try { return decodeURIComponent(part); } catch { return part; }
}

/** What a person tells a node by: commands take the beginning of an id, too. */
const shortNode = (id) => id.replace(/^tvmps_/, "").slice(0, 8);
const nodeLink = (account, pool, id) =>
  el("a", { href: `#${path(account, "node", pool, id)}`, title: id }, shortNode(id));

/** A table whose rows are cells by the name of their column, which a narrow screen shows. */
function table(columns, rows, more = {}) {
  return el("div.scroll", {}, el("table.stack", { role: "table", ...more },
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" },
      ...columns.map((name) => el("th", { scope: "col", role: "columnheader" }, name)))),
    el("tbody", { role: "rowgroup" }, ...rows)));
}
const row = (more, ...cells) => el("tr", { role: "row", ...more }, ...cells);
const cell = (column, ...children) => el("td", { role: "cell", "data-column": column }, ...children);

// Pools

function bar(parts, label) {
  const total = parts.reduce((sum, [, count]) => sum + count, 0);
  return el("div.bar", { role: "img", "aria-label": label }, ...parts.filter(([, count]) => count)
    .map(([kind, count]) => el(`span.${kind}`, { "data-share": count / total })));
}

/** Widths are set here, since the page's policy allows no style in markup. */
function spread(root) {
  for (const part of root.querySelectorAll("[data-share]")) {
    part.style.flexGrow = part.dataset.share;
  }
}

const kindOf = (node) => (node[2] ? "dedicated" : "spot");

function nodeLabel(pool, node) {
  const [id, state, , used] = node;
  return `${id}: ${state}, ${kindOf(node)}, ${used} of ${pool.slots} slots`;
}

/** The nodes as squares (spot: discs). Squares stay when the overview changes: focus stays. */
function nodeMap(account, pool, before) {
  const map = before ?? el("div.map", { role: "group" });
  map.setAttribute("aria-label", `Nodes of ${pool.id}`);
  const there = new Map([...map.children].map((button) => [button.dataset.node, button]));
  const chosen = looked()[1] === "node" ? looked()[3] : "";
  for (const node of pool.nodes) {
    let button = there.get(node[0]);
    there.delete(node[0]);
    if (!button) {
      button = el("button", { type: "button", "data-node": node[0], tabindex: "-1" });
      button.addEventListener("click", () => go(account, "node", pool.id, node[0]));
      map.append(button);
    }
    const label = nodeLabel(pool, node);
    if (button.title !== label) {
      button.title = label;
      button.setAttribute("aria-label", label);
      button.className = `${STATE_CLASS[node[1]] ?? "off"} ${kindOf(node)}`;
    }
    button.setAttribute("aria-pressed", String(node[0] === chosen));
  }
  for (const button of there.values()) button.remove();
  if (map.firstElementChild && !map.querySelector('[tabindex="0"]')) map.firstElementChild.tabIndex = 0;
  return map;
}

/** Arrow keys move among the nodes of a map; Tab leaves it. */
function move(event) {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  const here = event.target.closest?.(".map button");
  if (!step || !here) return;
  const next = step > 0 ? here.nextElementSibling : here.previousElementSibling;
  if (!next) return;
  here.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
  event.preventDefault();
}

function chart(samples) {
  const ns = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(ns, "svg");
  const [width, height] = [300, 84];
  const most = [1, 2].map((index) => Math.max(...samples.map((sample) => sample[index])));
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label",
    `Since ${clock(samples[0][0])}: at most ${most[0]} nodes and ${most[1]} tasks that ran or waited`);
  const x = (index) => (index / Math.max(1, samples.length - 1)) * width;
  const y = (index, value) => height - 2 - (value / Math.max(1, most[index - 1])) * (height - 6);
  const steps = samples.map((sample, i) =>
    (i ? `H${x(i)}V` : `M${x(0)} `) + y(1, sample[1])).join("");
  const line = samples.map((sample, i) => `${i ? "L" : "M"}${x(i)} ${y(2, sample[2])}`).join("");
  for (const [kind, d] of [["nodes", `${steps}V${height}H0Z`], ["tasks", line]]) {
    const drawn = document.createElementNS(ns, "path");
    drawn.setAttribute("class", kind);
    drawn.setAttribute("d", d);
    svg.append(drawn);
  }
  return [svg, el("p.counts", {}, `green: nodes, at most ${number(most[0])} · blue: tasks that run or wait, `
    + `at most ${number(most[1])} · since ${clock(samples[0][0])}`)];
}

const clock = (iso) => new Date(iso).toLocaleTimeString("en-GB");
const targets = ([dedicated, spot]) => `${dedicated} + ${spot} spot`;

function autoscale(scale, open) {
  const rows = scale.decisions.map((decision) => row({},
    cell("At", clock(decision.at)),
    cell("Target", String(targets(decision.from)) === String(targets(decision.to))
      ? `stays ${targets(decision.to)}` : `${targets(decision.from)} → ${targets(decision.to)}`),
    cell("Why", el(decision.error ? "span.bad" : "span.long", {}, decision.error ?? decision.results.replaceAll(";", "; ")))));
  return el("details", { open, "data-keep": "autoscale" },
    el("summary", {}, scale.decisions.length
      ? `Autoscale: ${targets(scale.decisions[0].to)} at ${clock(scale.decisions[0].at)}` : "Autoscale"),
    table(["At", "Target", "Why"], rows),
    el("h3", {}, "Formula"), el("pre", { tabindex: "0" }, scale.formula));
}

function count(of, name) {
  return of.target || of.current ? `${number(of.current)} of ${number(of.target)} ${name}` : null;
}

function poolCard(account, pool, before) {
  const open = before?.querySelector("details")?.open ?? false;
  const known = pool.nodes.length;
  const total = Object.values(pool.states).reduce((sum, n) => sum + n, 0);
  const card = el("article.card", { "data-pool": pool.id },
    el("div.head", {}, el("h3", {}, pool.id), el("span.size", {}, pool.vmSize),
      el("span.badge", {}, pool.state === "active" ? pool.allocation : pool.state)),
    el("p", {}, [count(pool.dedicated, "dedicated nodes"), count(pool.spot, "spot nodes")]
      .filter(Boolean).join(", ") || "no nodes"),
    ...pool.errors.map((error) => el("p.bad", {}, error)));
  if (total) {
    const label = Object.entries(pool.states).map(([state, n]) => `${n} ${state}`).join(", ");
    card.append(
      bar(Object.entries(pool.states).map(([state, n]) => [STATE_CLASS[state] ?? "off", n]), label),
      el("ul.legend", {}, ...Object.entries(pool.states).map(([state, n]) =>
        el("li", {}, el(`i.${STATE_CLASS[state] ?? "off"}`), `${number(n)} ${state}`))),
      nodeMap(account, pool, before?.querySelector(".map")));
    if (total > known) card.append(el("p.note", {}, `The first ${number(known)} of ${number(total)} nodes.`));
  }
  if (pool.autoscale) {
    if (pool.autoscale.samples.length > 1) card.append(...chart(pool.autoscale.samples));
    card.append(autoscale(pool.autoscale, open));
  }
  spread(card);
  return card;
}

// Jobs

function taskCounts(tasks) {
  const parts = GROUPS.slice(1).map((group) => [group, tasks[group]]);
  const text = parts.filter(([, n]) => n).map(([group, n]) => `${number(n)} ${group}`).join(", ") || "no tasks";
  const classes = { running: "busy" };
  return [bar(parts.toReversed().map(([group, n]) => [classes[group] ?? group, n]), text),
    el("span.counts", {}, text)];
}

function jobRow(account, job) {
  const made = row({ "data-job": job.id, "aria-current": String(looked()[1] === "job" && looked()[2] === job.id) },
    cell("Job", el("a", { href: `#${path(account, "job", job.id)}` }, job.id)),
    cell("State", job.state, job.reason ? ` (${job.reason})` : "",
      job.error ? el("div.bad", {}, job.error) : null),
    cell("Pool", job.pool),
    cell("Tasks", ...taskCounts(job.tasks)));
  spread(made);
  return made;
}

// Details of what was clicked on

const facts = (...pairs) => el("dl", {}, ...pairs.filter(([, value]) => value !== null && value !== undefined
  && value !== "").flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));

async function showJob(account, id, group) {
  const found = await (await ask(`accounts/${path(account)}/jobs/${path(id)}/tasks?group=${group}`)).json();
  const tabs = el("div.tabs", { role: "group", "aria-label": "Which tasks" }, ...GROUPS.map((name) =>
    el("button", { type: "button", "aria-pressed": String(name === group),
      onclick: () => go(account, "job", id, name) },
    name === "all" ? "all" : `${name} ${number(found.job.tasks[name])}`)));
  const rows = found.tasks.map((task) => row({},
    cell("Task", el("a", { href: `#${path(account, "task", id, task.id)}` }, task.id)),
    cell("State", el(`span.dot.${task.result === "failure" ? "failed" : task.result === "success" ? "succeeded"
      : task.state === "active" ? "active" : "busy"}`), task.result ?? task.state),
    cell("Exit code", task.exitCode), cell("Node", task.node && nodeLink(account, found.job.pool, task.node)),
    cell("Since", clock(task.since), task.failure ? el("div.bad", {}, task.failure) : null)));
  const list = rows.length ? table(["Task", "State", "Exit code", "Node", "Since"], rows)
    : el("p.note", {}, "None.");
  const counts = found.job.tasks;
  const all = group === "all" ? GROUPS.slice(1).reduce((sum, name) => sum + counts[name], 0) : counts[group];
  const note = rows.length < all
    ? el("p.note", {}, `The ${rows.length} that changed last, of ${number(all)}.`) : null;
  return [`Job ${id}`, [tabs, list, note]];
}

/** A task's output, as far as it is known here; it grows, so only what is new is asked for. */
const outputs = { of: "", texts: {} };

async function output(account, job, task, name) {
  const known = outputs.texts[name] ?? { next: -65536, text: "", decoder: new TextDecoder() };
  const answer = await ask(`accounts/${path(account)}/jobs/${path(job)}/tasks/${path(task)}/output/${name}?from=${known.next}`);
  const bytes = new Uint8Array(await answer.arrayBuffer());
  const start = Number(answer.headers.get("X-Start"));
  if (known.next < 0 && start > 0) known.text = `… ${number(start)} bytes before\n`;
  known.text = (known.text + known.decoder.decode(bytes, { stream: true })).slice(-OUTPUT_KEPT);
  known.next = start + bytes.length;
  outputs.texts[name] = known;
  return known.text;
}

async function showTask(account, job, id) {
  const task = await (await ask(`accounts/${path(account)}/jobs/${path(job)}/tasks/${path(id)}`)).json();
  const key = [account, job, id, task.retries, task.requeues, task.start].join("\n");
  if (outputs.of !== key) Object.assign(outputs, { of: key, texts: {} });
  const body = [
    el("p", {}, el("a", { href: `#${path(account, "job", job)}` }, `← job ${job}`)),
    facts(["State", task.result ? `${task.state}, ${task.result}` : task.state], ["Exit code", task.exitCode],
      ["Failure", task.failure && el("span.bad", {}, task.failure)],
      ["Waits for", task.waitsFor ? `${number(task.waitsFor)} other tasks` : null],
      ["Command line", el("code", {}, task.commandLine)],
      ["Node", task.node && nodeLink(account, task.pool, task.node)],
      ["Ran", task.start && `${clock(task.start)} to ${task.end ? clock(task.end) : "now"}`],
      ["Slots", task.slots], ["Retries", task.retries || null], ["Requeued", task.requeues || null]),
  ];
  for (const name of ["stdout.txt", "stderr.txt"]) {
    let text = "";
    if (task.files) {
      try { text = await output(account, job, id, name); } catch (error) {
        if (!error.answered) throw error;
        text = `(${error.message})`;
      }
    }
    body.push(el("h3", {}, name), el("pre", { tabindex: "0", "aria-label": name, "data-output": name },
      text || (task.files ? "(empty so far)" : "(not on a node)")));
  }
  return [`Task ${id}`, body];
}

async function showNode(account, pool, id) {
  const where = `accounts/${path(account)}/pools/${path(pool)}/nodes/${path(id)}`;
  const node = await (await ask(where)).json();
  const strike = (fault) => async () => {
    try { await ask(`${where}/${fault}`, { method: "POST" }); } catch (error) {
      byId("detail-body").prepend(el("p.bad", { role: "alert" }, error.message));
      return;
    }
    await redraw();
  };
  const start = node.startTask && [node.startTask.state, node.startTask.exitCode ?? null]
    .filter((part) => part !== null && part !== undefined).join(", exit code ");
  return [`Node ${shortNode(id)}`, [
    facts(["Id", node.id], ["Pool", node.pool], ["State", `${node.state} since ${clock(node.since)}`],
      ["Kind", node.dedicated ? "dedicated" : "spot"], ["Scheduling", node.scheduling],
      ["Slots", `${node.used} of ${node.slots} in use`], ["Tasks run", number(node.tasksRun)],
      ["Start task", start],
      ["Runs", node.runs.length ? el("ul", {}, ...node.runs.map((run) => el("li", {},
        run.kind === "task" ? el("a", { href: `#${path(account, "task", run.job, run.task)}` }, `${run.job} / ${run.task}`)
          : `${run.job}: ${run.kind} task`))) : null]),
    ...node.errors.map((error) => el("p.bad", {}, error)),
    el("div.tabs", { role: "group", "aria-label": "Faults" },
      node.dedicated ? null : el("button.act", { type: "button", onclick: strike("preempt") }, "Preempt it"),
      el("button.act", { type: "button", onclick: strike("unusable") }, "Make it unusable")),
  ]];
}

let shown = "";

async function drawDetail(account) {
  const [of, kind, ...names] = looked();
  const section = byId("detail");
  const shows = { job: showJob, task: showTask, node: showNode }[kind];
  if (!shows || of !== account) {
    section.hidden = true;
    shown = "";
    return;
  }
  if (kind === "job") names[1] = GROUPS.includes(names[1]) ? names[1] : "all";
  let title, body;
  try { [title, body] = await shows(account, ...names); } catch (error) {
    if (!error.answered) throw error;
    [title, body] = [`${names.join(" / ")}`, [el("p.bad", {}, error.message)]];
  }
  const fresh = shown !== location.hash;
  const made = el("div", {}, ...body.filter(Boolean));
  if (fresh || byId("detail-body").innerHTML !== made.innerHTML) {
    const focused = section.contains(document.activeElement) ? place(document.activeElement) : null;
    const kept = [...byId("detail-body").querySelectorAll("pre")].map((pre) =>
      [pre.scrollTop, pre.scrollTop + pre.clientHeight >= pre.scrollHeight - 4]);
    byId("detail-title").textContent = title;
    byId("detail-body").replaceChildren(...made.childNodes);
    section.hidden = false;
    [...byId("detail-body").querySelectorAll("pre")].forEach((pre, index) => {
      const [top, atEnd] = fresh ? [0, true] : kept[index] ?? [0, true];
      pre.scrollTop = atEnd ? pre.scrollHeight : top;
    });
    if (fresh) {
      section.scrollIntoView({ block: "nearest" });
      byId("detail-title").focus({ preventScroll: true });
    } else if (focused) again(focused)?.focus({ preventScroll: true });
  }
  shown = location.hash;
}

// Where the focus is, so that it can be put back into what was drawn anew.
const FOCUSABLE = "a, button, pre, summary";
const place = (element) => [...byId("detail").querySelectorAll(FOCUSABLE)].indexOf(element);
const again = (index) => byId("detail").querySelectorAll(FOCUSABLE)[index];

// All of it

let last = "";
let chosen = "";

function drawOverview(accounts) {
  const names = accounts.map((account) => account.name);
  const [wanted] = looked();
  const busiest = accounts.find((account) => account.pools.length) ?? accounts[0];
  chosen = [wanted, chosen].find((name) => names.includes(name)) ?? busiest?.name ?? "";
  const select = byId("account");
  if (String([...select.options].map((option) => option.value)) !== String(names)) {
    select.replaceChildren(...names.map((name) => el("option", { value: name }, name)));
  }
  select.value = chosen;
  byId("choose").hidden = names.length < 2;
  const account = accounts.find((one) => one.name === chosen) ?? { pools: [], jobs: [], jobCount: 0 };
  const cards = new Map([...byId("pools").querySelectorAll("[data-pool]")].map((card) => [card.dataset.pool, card]));
  const active = document.activeElement;
  byId("pools").replaceChildren(...(account.pools.length
    ? account.pools.map((pool) => poolCard(chosen, pool, cards.get(pool.id))) : [el("p.note", {}, "None yet.")]));
  const owner = active?.closest("[data-pool]")?.dataset.pool;
  if (active?.dataset.node && active.isConnected) active.focus({ preventScroll: true });
  else if (owner) {
    byId("pools").querySelector(`[data-pool="${CSS.escape(owner)}"] ${active.localName}`)?.focus({ preventScroll: true });
  }
  byId("jobs").tBodies[0].replaceChildren(...(account.jobs.length ? account.jobs.map((job) => jobRow(chosen, job))
    : [row({}, el("td", { role: "cell", colspan: 4 }, "None yet."))]));
  byId("more-jobs").hidden = account.jobCount <= account.jobs.length;
  byId("more-jobs").textContent = `The ${account.jobs.length} that changed last, of ${number(account.jobCount)}.`;
}

async function draw() {
  const status = byId("status");
  try {
    const text = await (await ask("overview")).text();
    const now = `${location.hash}\n${text}`;
    if (now !== last) {
      drawOverview(JSON.parse(text));
      last = now;
    }
    await drawDetail(chosen);
    status.textContent = `as of ${clock(Date.now())}`;
    status.classList.remove("lost");
  } catch (error) {
    const gone = error instanceof TypeError || error.answered;
    status.textContent = gone ? "The emulator does not answer; this is what it said last."
      : `This page has a defect: ${error.message}`;
    status.classList.add("lost");
    if (!gone) console.error(error);
  }
}

let drawing = Promise.resolve();
const redraw = () => { drawing = drawing.then(draw); return drawing; };

async function keepDrawing() {
  if (!document.hidden) await redraw();
  setTimeout(keepDrawing, PERIOD_MS);
}

addEventListener("hashchange", redraw);
addEventListener("keydown", move);
byId("account").addEventListener("change", (event) => go(event.target.value));
keepDrawing();
