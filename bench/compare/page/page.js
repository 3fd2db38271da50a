// Draws the report that is embedded in this page. Nothing is loaded from anywhere.
"use strict";

// For whoever looks whether all is well.
addEventListener("error", (event) => { document.documentElement.dataset.error = event.message; });
addEventListener("securitypolicyviolation", (event) => {
  document.documentElement.dataset.refused = event.blockedURI;
});

const report = JSON.parse(document.getElementById("report").textContent);
const texts = JSON.parse(document.getElementById("texts").textContent);
const ownColours = {threads: "--own-3", callbacks: "--own-2", fibers: "--own", coroutines: "--own-4"};

// ---- small helpers -----------------------------------------------------------------------------

function element(tag, text, attributes = {}) {
  const made = document.createElement(tag);
  if (text !== undefined && text !== null) made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function append(parent, ...children) {
  for (const child of children) parent.append(child);
  return parent;
}

const byId = (id) => document.getElementById(id);
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const colourOf = (server) => colour(ownColours[server] ?? "--peer");

// Three digits that count.
function digits(value) {
  const size = Math.abs(value);
  return value.toLocaleString("en", {maximumFractionDigits: size >= 100 ? 0 : size >= 10 ? 1 : 2});
}

function scaled(value, steps) {
  const [size, unit] = steps.find(([step]) => Math.abs(value) >= step) ?? steps[steps.length - 1];
  return `${digits(value / size)} ${unit}`;
}

const formats = {
  time: (ns) => scaled(ns, [[1e9, "s"], [1e6, "ms"], [1e3, "us"], [1, "ns"]]),
  micros: (us) => formats.time(us * 1000),
  bytes: (number) => `${Math.round(number).toLocaleString("en")} B`,
  count: (number) => digits(number),
  whole: (number) => Math.round(number).toLocaleString("en"),
  percent: (fraction) => `${(100 * fraction).toFixed(fraction < 0.01 ? 3 : 0)} %`,
};

// What has become of the samples that do not count, or count for less.
function troubleText(cell) {
  const parts = [[cell.failed, "failed"], [cell.starved, "without CPU time"], [cell.disturbed, "disturbed"]];
  return parts.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`).join(", ");
}

// Whose bar a chart lacks, as it would have had one.
function missingText(name) {
  const missing = cellsOf(name).filter((cell) => !measured(cell)).map((cell) => cell.server);
  return missing.length === 0 ? "" : `; without ${missing.join(", ")}: the table says why`;
}

function ratioText(ratio) {
  if (!ratio) return "";
  const two = (value) => value.toFixed(2);
  if (ratio.pairs < 2) return two(ratio.median);
  return `${two(ratio.median)} [${two(ratio.low)}, ${two(ratio.high)}]${ratio.equal ? " equal" : ""}`;
}

const ratioOf = (cell) => cell.ratio_to_callbacks ?? cell.ratio_to_fibers;
const cellsOf = (name) => report.cells.filter((cell) => cell.case === name);
const measured = (cell) => cell.failure === null;

// The names of the cases for which `wanted` holds, in the order of the report.
function casesWhere(wanted) {
  return [...new Set(report.cells.filter(wanted).map((cell) => cell.case))];
}

// ---- charts ------------------------------------------------------------------------------------

const charts = [];

// Draws the interval of each bar as a line with two ends.
const intervals = {
  id: "intervals",
  afterDatasetsDraw(chart) {
    const {ctx, scales: {x}} = chart;
    ctx.save();
    ctx.strokeStyle = colour("--text");
    ctx.lineWidth = 1.5;
    chart.getDatasetMeta(0).data.forEach((bar, i) => {
      const interval = chart.data.datasets[0].intervals[i];
      if (!interval) return;
      const [low, high] = interval.map((value) => x.getPixelForValue(value));
      ctx.beginPath();
      ctx.moveTo(low, bar.y);
      ctx.lineTo(high, bar.y);
      for (const end of [low, high]) {
        ctx.moveTo(end, bar.y - 4);
        ctx.lineTo(end, bar.y + 4);
      }
      ctx.stroke();
    });
    ctx.restore();
  },
};

// Writes the number behind each bar.
const labels = {
  id: "labels",
  afterDatasetsDraw(chart) {
    const {ctx, scales: {x}} = chart;
    const data = chart.data.datasets[0];
    ctx.save();
    ctx.fillStyle = colour("--text");
    ctx.font = "12px system-ui, sans-serif";
    ctx.textBaseline = "middle";
    chart.getDatasetMeta(0).data.forEach((bar, i) => {
      const end = Math.max(bar.x, data.intervals[i] ? x.getPixelForValue(data.intervals[i][1]) : 0);
      ctx.fillText(data.texts[i], end + 6, bar.y);
    });
    ctx.restore();
  },
};

// A chart of one bar for each row {server, value, interval, text}.
function bars(parent, title, note, rows, {logarithmic = false, format = formats.count} = {}) {
  if (rows.length === 0) return;
  const canvas = element("canvas", null, {role: "img", "aria-label": `${title}: ${
    rows.map((row) => `${row.server} ${row.text}`).join(", ")}`});
  const holder = append(element("div", null, {class: "canvas", style: `height:${40 + 27 * rows.length}px`}), canvas);
  append(parent, append(element("figure"),
    append(element("figcaption"), element("b", title), note), holder));
  const most = Math.max(...rows.map((row) => row.interval?.[1] ?? row.value));
  const scale = () => ({
    type: logarithmic ? "logarithmic" : "linear",
    beginAtZero: true,
    suggestedMax: logarithmic ? most * 8 : most * 1.3,
    grid: {color: colour("--line")},
    ticks: {color: colour("--faint"), maxTicksLimit: 5, callback: (value) => format(value)},
  });
  const options = () => ({
    indexAxis: "y", animation: false, maintainAspectRatio: false,
    plugins: {legend: {display: false}, tooltip: {callbacks: {label: (item) => rows[item.dataIndex].text}}},
    scales: {x: scale(), y: {grid: {display: false}, ticks: {color: colour("--text"), autoSkip: false}}},
  });
  const chart = new Chart(canvas, {
    type: "bar",
    data: {
      labels: rows.map((row) => row.server),
      datasets: [{
        data: rows.map((row) => row.value),
        backgroundColor: rows.map((row) => colourOf(row.server)),
        intervals: rows.map((row) => row.interval),
        texts: rows.map((row) => row.text),
        barThickness: 16,
      }],
    },
    options: options(),
    plugins: [intervals, labels],
  });
  chart.recolour = () => {
    chart.data.datasets[0].backgroundColor = rows.map((row) => colourOf(row.server));
    chart.options = options();
    chart.update();
  };
  charts.push(chart);
}

// A chart of one metric of all servers in one case.
function metric(parent, name, field, format, title, note, options = {}) {
  const rows = cellsOf(name).filter((cell) => measured(cell) && cell[field] !== null).map((cell) => {
    const interval = cell.intervals[field];
    return {
      server: cell.server,
      value: cell[field],
      interval: interval && interval.low !== interval.high ? [interval.low, interval.high] : null,
      text: format(cell[field]) + (options.valid && !cell.valid[options.valid] ? " *" : ""),
    };
  });
  bars(parent, title, note + missingText(name), rows, {format, ...options});
}

// A chart of the paired ratios in one case; the baseline is 1.
function ratios(parent, name, title, note) {
  const rows = cellsOf(name).filter(measured).map((cell) => {
    const ratio = ratioOf(cell);
    if (!ratio) return {server: cell.server, value: 1, interval: null, text: "1"};
    return {
      server: cell.server,
      value: ratio.median,
      interval: ratio.pairs > 1 ? [ratio.low, ratio.high] : null,
      text: ratioText(ratio),
    };
  });
  bars(parent, title, note + missingText(name), rows);
}

function titleOf(name) { return cellsOf(name)[0].title; }

function drawDifferences() {
  const parent = byId("differs-charts");
  const idle = casesWhere((cell) => cell.kind === "idle").at(-1);
  if (idle) {
    metric(parent, idle, "rss_bytes_per_connection", formats.bytes, "Memory of an idle connection",
      `${titleOf(idle)}; resident memory of the server for each, logarithmic`, {logarithmic: true});
  }
  for (const name of casesWhere((cell) => cell.kind === "echo" && cell.depth === 1 && cell.rate_percent === 0)) {
    ratios(parent, name, "CPU per request", `${titleOf(name)}; against callbacks`);
  }
  if (idle) {
    metric(parent, idle, "server_threads", formats.whole, "Live threads",
      `${titleOf(idle)}; logarithmic`, {logarithmic: true});
  }
  bars(parent, "Lines of code", "of the sources below, without comments and braces",
    report.servers.map((server) => ({
      server: server.server, value: server.lines_of_code, interval: null, text: String(server.lines_of_code),
    })));
}

function drawSpeed() {
  const parent = byId("speed-charts");
  for (const name of casesWhere((cell) => cell.kind === "echo" && cell.rate_percent === 0)) {
    metric(parent, name, "requests_per_second", formats.whole, "Requests per second", titleOf(name), {valid: "throughput"});
    metric(parent, name, "p99_us", formats.micros, "Latency, 99 % are faster", titleOf(name), {valid: "latency"});
  }
  for (const name of casesWhere((cell) => cell.kind === "echo" && cell.rate_percent > 0)) {
    metric(parent, name, "p999_us", formats.micros, "Latency at a fixed rate, 99.9 % are faster",
      `${titleOf(name)}; logarithmic`, {valid: "latency", logarithmic: true});
  }
  for (const name of casesWhere((cell) => cell.kind === "churn")) {
    ratios(parent, name, "CPU per connection", `${titleOf(name)}; against callbacks`);
  }
}

function drawTasks() {
  const parent = byId("tasks-charts");
  for (const name of casesWhere((cell) => cell.kind === "parked")) {
    metric(parent, name, "rss_bytes_per_connection", formats.bytes, "Memory of a parked task",
      `${titleOf(name)}; logarithmic`, {logarithmic: true});
  }
  for (const name of casesWhere((cell) => cell.kind === "spawn" || cell.kind === "chain")) {
    const spawn = cellsOf(name)[0].kind === "spawn";
    metric(parent, name, "cpu_ns_per_request", formats.time, spawn ? "CPU time of a task" : "CPU time of a wait",
      `${titleOf(name)}; logarithmic`, {logarithmic: true});
    if (!spawn) {
      metric(parent, name, "allocations_per_request", formats.count, "Allocations of a wait", titleOf(name));
    }
  }
  if (parent.childElementCount === 0) byId("tasks").hidden = true;
}

// ---- tables ------------------------------------------------------------------------------------

// [heading, field, format, the validity that it needs]
const columns = [
  ["CPU", "cpu_ns_per_request", formats.time, "cpu"],
  ["allocations", "allocations_per_request", formats.count, null],
  ["offered/s", "offered_per_second", formats.whole, null],
  ["requests/s", "requests_per_second", formats.whole, "throughput"],
  ["p50", "p50_us", formats.micros, "latency"],
  ["p99", "p99_us", formats.micros, "latency"],
  ["p99.9", "p999_us", formats.micros, "latency"],
  ["longest", "max_us", formats.micros, "latency"],
  ["RSS", "rss_bytes_per_connection", formats.bytes, "memory"],
  ["kernel", "kernel_bytes_per_connection", formats.bytes, null],
  ["mappings", "mappings_per_connection", formats.count, null],
  ["threads", "server_threads", formats.whole, null],
  ["server CPU", "server_cpu_fraction", formats.percent, null],
  ["load CPU", "client_cpu_fraction", formats.percent, null],
];

function tableRow(cells, tag = "td") {
  return append(element("tr"), ...cells.map((text) => element(tag, text)));
}

function valueText(cell, [, field, format, validity]) {
  if (cell[field] === null) return "";
  const invalid = validity && !cell.valid[validity];
  const behind = field === "requests_per_second" && cell.behind;
  return format(cell[field]) + (behind ? " <" : invalid ? " *" : "");
}

function tableOf(name) {
  const cells = cellsOf(name).filter(measured);
  const used = columns.filter(([, field]) => cells.some((cell) => cell[field] !== null));
  const against = cells.some((cell) => cell.ratio_to_fibers) ? "ratio to fibers" : "ratio to callbacks";
  const withRatio = cells.some(ratioOf);
  const table = element("table");
  table.append(tableRow(["server", ...used.map(([heading]) => heading), ...(withRatio ? [against] : []), "samples"], "th"));
  for (const cell of cells) {
    table.append(tableRow([cell.server, ...used.map((column) => valueText(cell, column)),
      ...(withRatio ? [ratioText(ratioOf(cell)) || "1"] : []),
      [String(cell.rounds), troubleText(cell)].filter((text) => text !== "").join("; ")]));
  }
  return table;
}

// How sure the intervals are of which there are the fewest values.
function intervalText() {
  const ratios = report.cells.map(ratioOf).filter((ratio) => ratio && ratio.pairs > 1);
  if (ratios.length === 0) return "for which one round gives no interval";
  const least = ratios.reduce((one, other) => (other.pairs < one.pairs ? other : one));
  const percent = (100 * least.confidence).toFixed(0);
  return least.confidence >= 0.95 ? "with the interval that holds it at 95 %" :
    `with the interval from the smallest to the largest, which holds it at ${percent} % where there are but ${least.pairs} rounds`;
}

function drawTables() {
  const parent = byId("tables");
  for (const name of casesWhere(() => true)) {
    const all = cellsOf(name);
    append(parent, element("h3", `${all[0].title} (${name})`));
    if (all.some(measured)) append(parent, append(element("div", null, {class: "scroll"}), tableOf(name)));
    for (const cell of all) {
      if (!measured(cell)) {
        append(parent, element("p", `${cell.server}: ${cell.failure}`, {class: "warning"}));
      } else if (cell.failed > 0) {
        append(parent, element("p", `${cell.server}: ${cell.failed} samples failed, the last one: ${cell.last_error}`,
          {class: "warning"}));
      }
    }
    const others = report.servers.map((each) => each.server).filter((each) => !all.some((cell) => cell.server === each));
    if (others.length > 0) {
      append(parent, element("p", `Not in this table, for want of a program of tasks without sockets: ${others.join(", ")}.`,
        {class: "faint"}));
    }
    append(parent, append(element("details"), element("summary", "Commands that measure these again"),
      element("pre", all.map((cell) => cell.command).join("\n"))));
  }
  for (const skipped of report.skipped) {
    append(byId("missing"), element("p", `${skipped.case} is skipped: ${skipped.reason}`, {class: "warning"}));
  }
  byId("notes").textContent = "Medians. * : the number says more about the load or about others on the machine " +
    "than about the server. < : the server did not keep up with what was offered. The ratio is the median of the " +
    "ratios in the same round, " + intervalText() + "; equal: the interval holds 1.";
}

function drawServers() {
  const table = byId("server-table");
  table.append(tableRow(["server", "style", "waits by", "read buffer", "stack", "sockets", "lines"], "th"));
  for (const server of report.servers) {
    table.append(tableRow([server.server, server.style, server.waits_by, server.buffer, server.stack,
      server.socket_options, String(server.lines_of_code)]));
  }
}

function drawSources() {
  const show = (side) => {
    const server = report.servers.find((each) => each.server === byId(side).value);
    const target = byId(`${side}-source`);
    target.replaceChildren();
    for (const path of server.sources) append(target, element("h3", path), element("pre", texts[path]));
    for (const path of server.shared_sources) {
      append(target, append(element("details"), element("summary", `${path}, which several share; not counted`),
        element("pre", texts[path])));
    }
  };
  const begin = {left: "callbacks", right: "fibers"};
  for (const side of ["left", "right"]) {
    const select = byId(side);
    for (const server of report.servers) select.append(element("option", server.server));
    if (report.servers.some((each) => each.server === begin[side])) select.value = begin[side];
    select.addEventListener("change", () => show(side));
    if (report.servers.length > 0) show(side);
  }
}

function drawEnvironment() {
  const where = report.environment;
  byId("environment").textContent = `${where.date}, ${where.cores} x ${where.cpu}, ${where.kernel}; commit ${where.commit}; ` +
    `${report.rounds} rounds`;
  const table = byId("environment-table");
  for (const [name, value] of Object.entries({...where, ...report.settings, capacities: report.capacities})) {
    const text = typeof value === "object" ?
      Object.entries(value).map(([key, each]) => `${key}: ${typeof each === "number" ? digits(each) : each}`).join("; ") :
      String(value);
    table.append(tableRow([name.replaceAll("_", " "), text]));
  }
  const state = byId("state");
  if (report.interrupted) state.textContent = "The run was interrupted: this is what was measured until then.";
  else if (report.out_of_time) state.textContent = `The time of the run was over after ${report.rounds} complete rounds.`;
  state.hidden = state.textContent === "";
}

drawEnvironment();
drawDifferences();
drawSpeed();
drawTasks();
drawTables();
drawServers();
drawSources();

function recolour() { for (const chart of charts) chart.recolour(); }
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
// On paper all is dark on white, whatever the screen shows.
addEventListener("beforeprint", () => {
  document.documentElement.classList.add("paper");
  recolour();
  for (const chart of charts) chart.resize();
});
addEventListener("afterprint", () => {
  document.documentElement.classList.remove("paper");
  recolour();
});
document.documentElement.dataset.charts = String(charts.length);
