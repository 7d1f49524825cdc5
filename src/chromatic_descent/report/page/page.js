/* The page's figures and controls. Data is in #data (see data.py); Plotly is inlined before it.
   Everything that came from a study is text: esc() keeps Plotly from reading it as markup. */
"use strict";
const D = JSON.parse(document.getElementById("data").textContent);
const state = {
  distance: D.distance in D.distances ? D.distance : Object.keys(D.distances)[0],
  layout: "mds", space: "2", ellipses: true, safe: false, epoch: 1e9,
};
const esc = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const short = (text) => (text.length > 22 ? text.slice(0, 21) + "…" : text);
const range = (n) => Array.from({ length: n }, (_, k) => k);
const say = (x, digits = 3) => (x === null || x === undefined ? "–" : Number(x).toPrecision(digits));
const percent = (x) => (x === null ? "–" : (100 * x).toFixed(1) + "%");
const words = (name) => name.replaceAll("_", " ");
const view = () => D.distances[state.distance];
const S = D.members.name.length;
const narrow = () => window.innerWidth < 640;

/* ---- what figures share ---- */
const colours = () => (state.safe ? D.members.safe : D.members.hex);
const symbols = () => (state.safe || D.shaped ? D.members.symbol : D.members.symbol.map(() => "circle"));
const SOLID = { "triangle-up": "diamond-open", "triangle-down": "circle-open", star: "square-open" };
const symbols3 = () => symbols().map((s) => ({ "diamond-tall": "diamond", ...SOLID }[s] ||
  (["circle", "square", "diamond", "cross", "x"].includes(s) ? s : "circle-open")));
const hover = () => range(S).map((i) => [
  `<b>${esc(D.members.name[i])}</b>`,
  `accuracy ${say(D.members.accuracy[i], 4)}, temperature ${say(D.members.temperature[i])}`,
  ...(D.members.recipe[i] ? [esc(wrap(D.members.recipe[i], 60)).replaceAll("\n", "<br>")] : []),
].join("<br>"));
const wrap = (text, width) => text.split(" ").reduce((lines, word) => {
  const last = lines[lines.length - 1];
  return (last + " " + word).length > width ? [...lines, word] : [...lines.slice(0, -1), (last + " " + word).trim()];
}, [""]).join("\n");
const PALETTE = ["--c1", "--c2", "--c3", "--c4", "--c5", "--c6", "--c7"];
const colour = (k) => css(PALETTE[k % PALETTE.length]);
const faint = (hex, alpha) => hex + Math.round(255 * alpha).toString(16).padStart(2, "0");

const readable = (hex) => {  // black or white on a colour
  const [r, g, b] = [1, 3, 5].map((k) => (parseInt(hex.slice(k, k + 2), 16) / 255) ** 2.2);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.2 ? "#000000" : "#ffffff";
};

const axis = (title, extra = {}) => ({
  title: { text: title, standoff: 8, font: { size: 12 } }, gridcolor: css("--line"), linecolor: css("--rule"),
  zeroline: false, showgrid: true, ticks: "outside", tickcolor: css("--rule"), automargin: true, fixedrange: true, ...extra,
});
const layout = (extra = {}) => ({
  paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false, dragmode: false,
  font: { family: css("--sans"), size: 12, color: css("--ink") },
  margin: { l: 52, r: 12, t: 14, b: 44 }, hoverlabel: { bgcolor: css("--paper"), bordercolor: css("--rule"),
    font: { family: css("--sans"), color: css("--ink") }, align: "left" },
  legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, font: { size: 12 } }, ...extra,
});
const band = (x, low, high, hex) => ({
  x: [...x, ...[...x].reverse()], y: [...high, ...[...low].reverse()], fill: "toself", mode: "lines",
  line: { width: 0 }, fillcolor: faint(hex, 0.16), hoverinfo: "skip", showlegend: false,
});
const points = (extra) => ({
  mode: "markers", hoverinfo: "text", hovertext: hover(),
  marker: { color: colours(), symbol: symbols(), size: S > 60 ? 8 : 13, line: { color: css("--ink"), width: 0.8 } }, ...extra,
});
const nothing = (reason) => ({ data: [], layout: layout({ xaxis: { visible: false }, yaxis: { visible: false },
  annotations: [{ text: esc(wrap("Not computed: " + reason, narrow() ? 36 : 70)).replaceAll("\n", "<br>"), showarrow: false, font: { size: 13, color: css("--soft") } }] }) });
const pair = (rows, keys) => rows.reduce((found, row) => {
  const key = keys.map((k) => row[k]).join("|");
  (found[key] = found[key] || []).push(row);
  return found;
}, {});
const column = (rows, k) => rows.map((row) => row[k]);

/* ---- the figures: each returns {data, layout}; `depends` says which state redraws it ---- */
const FIGURES = {
  map: { depends: ["distance", "layout", "space", "ellipses", "safe"], draw() {
    const chosen = state.layout === "inpca" ? D.inpca : view().layouts[state.layout];
    const [x, y, z] = chosen.xyz;
    if (state.space === "3" && z) {
      const side = (k) => ({ title: { text: chosen.axes[k], font: { size: 11 } }, gridcolor: css("--line"), zeroline: false,
        showbackground: false, color: css("--soft"), showspikes: false, nticks: 5, tickfont: { size: 10 } });
      return { data: [points({ type: "scatter3d", x, y, z, marker: { color: colours(), symbol: symbols3(),
        size: S > 60 ? 4 : 7, line: { color: css("--ink"), width: 1 } } })],
      layout: layout({ margin: { l: 0, r: 0, t: 0, b: 0 }, dragmode: "orbit", uirevision: "3d", scene: { aspectmode: "data",
        xaxis: side(0), yaxis: side(1), zaxis: side(2), camera: { eye: { x: 1.4, y: 1.4, z: 0.8 } } } }) };
    }
    const shapes = state.layout === "mds" && state.ellipses ? view().ellipses.map(ellipse) : [];
    const named = S <= 30 ? { mode: "markers+text", text: D.members.tag.map(esc), textfont: { size: 10, color: colours().map(readable) },
      marker: { color: colours(), symbol: symbols(), size: 21, line: { color: css("--paper"), width: 1 } } } : {};
    const width = Math.max(...x) - Math.min(...x), flat = y.every((v) => Math.abs(v) < 1e-6 * width);
    return { data: [...shapes, points({ x, y, ...named })], layout: layout({ dragmode: narrow() ? false : "pan",
      xaxis: axis(chosen.axes[0], { fixedrange: false, nticks: 6 }),
      yaxis: axis(chosen.axes[1] || "", { fixedrange: false, scaleanchor: "x", nticks: 6, ...(flat ? { range: [-width / 2, width / 2] } : {}) }) }) };
  } },
  heatmap: { depends: ["distance", "safe"], draw() {
    const { order, upper, tree } = view().heatmap;
    const z = range(S).map(() => new Array(S).fill(null));
    let next = 0;
    for (let i = 0; i < S; i++) for (let j = i + 1; j < S; j++) z[i][j] = z[j][i] = upper[next++];
    const names = order.map((m) => esc(D.members.label[m]));
    const text = S <= 60 ? z.map((row, i) => row.map((v, j) => `${names[i]} and ${names[j]}: ${say(v)}`)) : undefined;
    const [tx, ty] = [0, 1].map((k) => tree.flatMap((join) => [...join[k], null]));
    const ticks = S <= 40 ? { tickvals: range(S), ticktext: names, ...BARE } : { showticklabels: false, ...BARE };
    const dots = { x: range(S).map(() => -1 - S / 60), y: range(S), mode: "markers", xaxis: "x", yaxis: "y", hoverinfo: "text", cliponaxis: false,
      hovertext: order.map((m) => hover()[m]), marker: { symbol: "square", color: order.map((m) => colours()[m]), size: Math.max(3, Math.min(12, 320 / S)) } };
    return { data: [
      { type: "heatmap", z, colorscale: sequential(), hoverongaps: false, hoverinfo: text ? "text" : "z", text,
        colorbar: { thickness: 10, len: 0.78, y: 0.39, outlinewidth: 0, title: { text: "distance", side: "right" } } },
      { x: tx, y: ty, mode: "lines", yaxis: "y2", line: { color: css("--soft"), width: 1 }, hoverinfo: "skip" }, dots],
    layout: layout({ margin: { l: 40, r: 10, t: 10, b: 50 },
      xaxis: axis("", { ...ticks, range: [-1.5 - S / 30, S - 0.5], anchor: "y" }),
      yaxis: axis("", { ...ticks, domain: [0, 0.8], range: [S - 0.5, -0.5] }),
      yaxis2: { domain: [0.82, 1], visible: false, fixedrange: true } }) };
  } },
  mantel: { depends: [], draw() {
    const names = D.mantel.names.map(esc), ticks = { tickvals: range(names.length), ticktext: names, ...BARE };
    return { data: [{ type: "heatmap", z: D.mantel.r, zmin: -1, zmax: 1, colorscale: diverging(), hoverinfo: "text",
      text: D.mantel.r.map((row, i) => row.map((r, j) => `${names[i]} and ${names[j]}: r = ${say(r, 2)}`)),
      colorbar: { thickness: 10, outlinewidth: 0, title: { text: "Mantel's r", side: "right" } } }],
    layout: layout({ xaxis: axis("", { ...ticks, tickangle: -60 }), yaxis: axis("", { ...ticks, autorange: "reversed" }) }) };
  } },
  spectrum: { depends: ["distance"], draw() {
    const { share, bands } = view().spectrum, shown = Math.min(share.length, 60), x = range(shown).map((k) => k + 1);
    const data = [{ type: "bar", name: "members", x, y: share.slice(0, shown), marker: { color: faint(css("--c1"), 0.55) }, hovertemplate: "axis %{x}: %{y:.1%}<extra></extra>" }];
    Object.entries(bands).forEach(([name, [low, high]], k) => {
      const hex = colour(k + 1), n = Math.min(high.length, shown);
      data.push(band(x.slice(0, n), low.slice(0, n), high.slice(0, n), hex),
        { x: x.slice(0, n), y: high.slice(0, n), name: words(name) + ", 95%", mode: "lines", line: { color: hex, width: 1.5, dash: k ? "dash" : "dot" }, hoverinfo: "skip" });
    });
    return { data, layout: layout({ showlegend: true, xaxis: axis("axis", { showgrid: false, tickformat: "d" }), yaxis: axis("share of variance", { tickformat: ".0%", rangemode: "tozero" }) }) };
  } },
  nulls: { depends: ["distance"], draw() {
    const tests = view().nulls;
    if (!tests.length) return nothing(view().nulls_reason);
    const data = [], annotations = [], shapes = [], axes = {}, n = tests.length;
    tests.forEach((test, k) => {
      const at = k ? k + 1 : "", low = 1 - (k + 0.78) / n, high = 1 - k / n - 0.16 / n;
      const from = Math.min(...test.draws), to = Math.max(...test.draws), width = (to - from) / 24 || 1e-4, counts = new Array(25).fill(0);
      test.draws.forEach((v) => { counts[Math.min(24, Math.floor((v - from) / width))] += 1; });
      data.push({ type: "bar", x: counts.map((_, b) => from + (b + 0.5) * width), y: counts, width, yaxis: "y" + at, marker: { color: css("--soft") },
        hovertemplate: `${test.title}: %{y} draws near %{x:.4f}<extra></extra>` });
      axes["yaxis" + at] = { domain: [low, high], visible: false, fixedrange: true, anchor: "x" };
      annotations.push({ text: `${test.title}, p = ${say(test.p, 2)}`, xref: "paper", x: 0, yref: "paper", y: 1 - k / n, xanchor: "left", yanchor: "top", showarrow: false, font: { size: 12 } });
      shapes.push({ type: "line", xref: "paper", x0: 0, x1: 1, yref: "paper", y0: low, y1: low, line: { color: css("--rule"), width: 1 } });
    });
    shapes.push({ type: "line", x0: tests[0].observed, x1: tests[0].observed, yref: "paper", y0: 0, y1: 1, line: { color: css("--c1"), width: 2 } });
    const all = tests.flatMap((t) => [...t.draws, t.observed]), pad = 0.06 * (Math.max(...all) - Math.min(...all));
    return { data, layout: layout({ ...axes, shapes, annotations, bargap: 0, margin: { l: 12, r: 12, t: 8, b: 44 },
      xaxis: axis("share of variance on two axes (line: observed)", { range: [Math.min(...all) - pad, Math.max(...all) + pad], anchor: "free", position: 0, showgrid: false }) }) };
  } },
  drivers: { depends: ["distance"], draw() {
    const found = view().drivers;
    if (found.reason) return nothing(found.reason);
    const data = [1, 2].map((k) => {
      const rows = found.table.filter((row) => row[0] === k && row[2] !== null), hex = colour(k - 1);
      const place = rows.map((row) => found.order.indexOf(row[1]) + (k - 1.5) * 0.34);
      return { name: `axis ${k}`, x: column(rows, 2), y: place, mode: "markers", marker: { color: hex, size: 9, symbol: rows.map((row) => (row[5] <= 0.05 ? "circle" : "circle-open")), line: { width: 1.5, color: hex } },
        error_x: { type: "data", symmetric: false, array: rows.map((r) => r[4] - r[2]), arrayminus: rows.map((r) => r[2] - r[3]), color: hex, thickness: 1, width: 0 },
        hoverinfo: "text", hovertext: rows.map((r) => `${esc(r[1])}, axis ${k}: r = ${say(r[2], 2)} [${say(r[3], 2)}, ${say(r[4], 2)}], p = ${say(r[5], 2)}`) };
    });
    return { data, layout: layout({ showlegend: true, xaxis: axis("r with the axis", { range: [-1.05, 1.05] }), shapes: [zero()],
      yaxis: axis("", { tickvals: range(found.order.length), ticktext: found.order.map((name) => esc(narrow() ? short(name) : name.slice(0, 40))), autorange: "reversed", showgrid: false, ticks: "" }) }) };
  } },
  interventions: { depends: ["distance"], draw() {
    const found = view().drivers;
    if (found.reason) return nothing(found.reason);
    const rows = found.interventions.filter((row) => row[1] !== null);
    return { data: [{ type: "bar", orientation: "h", x: column(rows, 1), y: range(rows.length), marker: { color: css("--c1") }, width: 0.55,
      error_x: { type: "data", symmetric: false, array: rows.map((r) => r[3] - r[1]), arrayminus: rows.map((r) => r[1] - r[2]), color: css("--ink"), thickness: 1.2, width: 4 },
      hoverinfo: "text", hovertext: rows.map((r) => `${words(r[0])}: ${percent(r[1])} [${percent(r[2])}, ${percent(r[3])}]`) }],
    layout: layout({ xaxis: axis("share of top-2 variance removed", { tickformat: ".0%" }), shapes: [zero()],
      yaxis: axis("", { tickvals: range(rows.length), ticktext: rows.map((r) => words(r[0])), autorange: "reversed", showgrid: false, ticks: "" }) }) };
  } },
  gain: { depends: [], draw() {
    const rows = D.ensembles.gain;
    return { data: [{ x: column(rows, 0), y: column(rows, 2), mode: "markers", marker: { color: css("--c1"), size: 6, opacity: 0.6 }, hoverinfo: "skip" }],
      layout: layout({ xaxis: axis("mean squared Hellinger distance", { nticks: 5 }), yaxis: axis("NLL gained by combining (nats)") }) };
  } },
  paths: { depends: ["epoch", "safe"], draw() {
    const { epochs, xy, landmarks } = D.trajectories, end = Math.min(state.epoch, epochs.length - 1);
    const marks = [["ignorance", landmarks[0]], ["truth", landmarks[1]]];
    const lines = xy.map((path, i) => ({ x: path.slice(0, end + 1).map((p) => p[0]), y: path.slice(0, end + 1).map((p) => p[1]), mode: "lines",
      line: { color: colours()[i], width: S > 60 ? 0.8 : 1.6 }, hoverinfo: "skip" }));
    const all = [0, 1].map((k) => [...xy.flatMap((path) => path.map((p) => p[k])), ...landmarks.map((p) => p[k])]);
    const span = all.map((v) => { const a = Math.min(...v), b = Math.max(...v), pad = 0.08 * (b - a); return [a - pad, b + pad]; });
    return { data: [...lines,
      { x: marks.map((m) => m[1][0]), y: marks.map((m) => m[1][1]), text: marks.map((m) => m[0]), mode: "markers+text", textposition: "bottom center", cliponaxis: false, marker: { symbol: "x-thin", size: 9, color: css("--ink"), line: { width: 1.5, color: css("--ink") } }, hoverinfo: "skip" },
      points({ x: xy.map((p) => p[end][0]), y: xy.map((p) => p[end][1]), marker: { color: colours(), symbol: symbols(), size: S > 60 ? 6 : 9, line: { color: css("--ink"), width: 0.8 } } })],
    layout: layout({ xaxis: axis("InPCA axis 1", { range: span[0], nticks: 6 }), yaxis: axis("InPCA axis 2", { range: span[1], nticks: 6 }) }) };
  } },
  progress: { depends: ["safe"], draw() {
    const { epochs, progress } = D.trajectories;
    return { data: progress.map((y, i) => ({ x: epochs, y, mode: "lines", line: { color: colours()[i], width: 1.4 }, hoverinfo: "text", hovertext: epochs.map((e, t) => `${esc(D.members.name[i])}, epoch ${e}: ${say(y[t])}`) })),
      layout: layout({ xaxis: axis("epochs trained"), yaxis: axis("progress, ignorance to truth", { rangemode: "tozero" }) }) };
  } },
  separation: { depends: [], draw() {
    const { epochs, ratio, ratio_low, ratio_high } = D.trajectories, kept = range(epochs.length).filter((t) => ratio[t] !== null);
    const at = (v) => kept.map((t) => v[t]), hex = css("--c1");
    return { data: [band(at(epochs), at(ratio_low), at(ratio_high), hex), { x: at(epochs), y: at(ratio), mode: "lines+markers", line: { color: hex }, hovertemplate: "epoch %{x}: %{y:.2f}<extra></extra>" }],
      layout: layout({ xaxis: axis("epochs trained"), yaxis: axis("between members / per step", { rangemode: "tozero" }), shapes: [level(1)] }) };
  } },
  classes: { depends: ["safe"], draw() {
    const C = D.classes.length, jitter = (i) => (S > 1 ? (i / (S - 1) - 0.5) * 0.6 : 0);
    return { data: D.class_accuracy.map((row, i) => ({ x: row.map((_, c) => c + jitter(i)), y: row, mode: "markers", type: S * C > 6000 ? "scattergl" : "scatter",
      marker: { color: colours()[i], symbol: symbols()[i], size: S > 60 ? 4 : 8, line: { color: css("--ink"), width: S > 60 ? 0 : 0.6 } },
      hoverinfo: "text", hovertext: row.map((a, c) => `${esc(D.members.name[i])}, ${esc(D.classes[c])}: ${percent(a)}`) })),
    layout: layout({ xaxis: axis("", classTicks()), yaxis: axis("accuracy", { tickformat: ".0%" }) }) };
  } },
};
const ellipse = ([cx, cy, a, b, turn], i) => {
  const t = range(49).map((k) => (2 * Math.PI * k) / 48);
  return { x: t.map((s) => cx + a * Math.cos(s) * Math.cos(turn) - b * Math.sin(s) * Math.sin(turn)),
    y: t.map((s) => cy + a * Math.cos(s) * Math.sin(turn) + b * Math.sin(s) * Math.cos(turn)), mode: "lines",
    fill: "toself", fillcolor: faint(colours()[i], 0.1), line: { color: faint(colours()[i], 0.7), width: 1 }, hoverinfo: "skip" };
};
const WHOLE = S <= 12 ? { dtick: S <= 6 ? 1 : 2 } : {};
const BARE = { showgrid: false, showline: false, ticks: "" };
const zero = () => ({ type: "line", x0: 0, x1: 0, yref: "paper", y0: 0, y1: 1, line: { color: css("--rule"), width: 1 } });
const level = (y) => ({ type: "line", xref: "paper", x0: 0, x1: 1, y0: y, y1: y, line: { color: css("--soft"), width: 1, dash: "dot" } });
const sequential = () => [[0, css("--s0")], [1, css("--s1")]];
const diverging = () => [[0, css("--c2")], [0.5, css("--paper")], [1, css("--c1")]];
const classTicks = () => {
  const names = D.classes.map((name) => esc(short(name)));
  return names.length <= 30 ? { tickvals: range(names.length), ticktext: names, ...BARE, tickangle: names.some((n) => n.length > 3) ? -40 : 0 } : { showgrid: false, title: { text: "class" } };
};
const OVER = { members: "members", images: "probe images" };
for (const [quantity, over] of [["participation_ratio", "members"], ["participation_ratio", "images"], ["top_2_share", "members"], ["top_2_share", "images"]]) {
  FIGURES[`${quantity}-${over}`] = { depends: ["distance"], draw() {
    const rows = view().dimension.filter((row) => row[0] === over && row[2] === quantity), hex = css("--c1");
    if (!rows.length) return nothing(view().dimension_reason || "too few members");
    const x = column(rows, 1), most = quantity === "participation_ratio" && over === "members";
    const bound = quantity === "top_2_share" && over === "members";
    return { data: [
      ...(most ? [{ x, y: x.map((s) => s - 1), mode: "lines", name: "the most there can be, S − 1", line: { color: css("--soft"), dash: "dot", width: 1 }, hoverinfo: "skip" }] : []),
      ...(bound ? [{ x, y: x.map((s) => Math.min(1, 2 / (s - 1))), mode: "lines", name: "equidistant members, 2/(S − 1)", line: { color: css("--soft"), dash: "dot", width: 1 }, hoverinfo: "skip" }] : []),
      band(x, column(rows, 4), column(rows, 5), hex), { x, y: column(rows, 3), name: "members", mode: "lines+markers", line: { color: hex }, hovertemplate: "%{x}: %{y:.3f}<extra></extra>" }],
    layout: layout({ showlegend: most || bound, xaxis: axis(OVER[over], over === "images" ? { type: "log", tickvals: ticksOf(x), ticktext: ticksOf(x) } : WHOLE), yaxis: axis(words(quantity).replace("top 2", "top-2"), { rangemode: "tozero" }) }) };
  } };
}
const ticksOf = (x) => x.filter((_, k) => x.length < 6 || k % 2 === (x.length - 1) % 2);
const METRICS = { accuracy: "accuracy", nll: "NLL (nats)", brier: "Brier score", ece: "ECE" };
for (const [metric, title] of Object.entries(METRICS)) {
  FIGURES[`curve-${metric}`] = { depends: [], draw() {
    const rows = D.ensembles.curves.filter((row) => row[3] === metric && row[0] !== "oracle" && row[4] !== null);
    const data = [], combiners = [...new Set(column(rows, 0))], dashes = ["solid", "dot", "dash", "dashdot"], marks = ["circle", "square", "diamond", "x"];
    Object.entries(pair(rows, [0, 1])).forEach(([key, those]) => {
      const [combiner, stage] = key.split("|"), k = combiners.indexOf(combiner), raw = stage === "raw", hex = colour(k);
      if (!raw && metric === "accuracy") return;  // a temperature changes no answer
      if (raw && S <= 60) data.push(band(column(those, 2), column(those, 5), column(those, 6), hex));
      data.push({ x: column(those, 2), y: column(those, 4), name: words(combiner) + (raw ? "" : ", calibrated"), mode: "lines+markers", showlegend: raw,
        line: { color: hex, width: 1.6, dash: raw ? "solid" : "dash" }, marker: { size: raw ? 5 : 3, symbol: marks[k % 4] }, hovertemplate: `${words(key.replace("|", ", "))}, %{x}: %{y:.4f}<extra></extra>` });
    });
    return { data, layout: layout({ showlegend: true, xaxis: axis("members", WHOLE), yaxis: axis(title) }) };
  } };
  FIGURES[`pick-${metric}`] = { depends: [], draw() {
    const rows = D.ensembles.selection.filter((row) => row[1] === metric), data = [];
    Object.entries(pair(rows, [0])).forEach(([method, those], k) => {
      const random = method === "random", hex = random ? css("--soft") : colour(k);
      if (random) data.unshift(band(column(those, 2), column(those, 4), column(those, 5), hex));
      data.push({ x: column(those, 2), y: column(those, 3), name: words(method), mode: "lines+markers", marker: { size: 5, symbol: ["circle", "square", "diamond", "x"][k % 4] }, line: { color: hex, width: 1.6 }, hovertemplate: `${words(method)}, %{x}: %{y:.4f}<extra></extra>` });
    });
    return { data, layout: layout({ showlegend: true, xaxis: axis("members picked", WHOLE), yaxis: axis(title) }) };
  } };
}
for (const stage of ["before", "after"]) {
  FIGURES[`reliability-${stage}`] = { depends: [], draw() {
    const rows = D.ensembles.reliability.filter((row) => row[1] === (stage === "after") && row[4] > 0);
    const lines = Object.entries(pair(rows, [0])).map(([of, those], k) => { const most = Math.max(...column(those, 4)); return {
      x: column(those, 2), y: column(those, 3), name: of, mode: "lines+markers", line: { color: colour(k), width: 1.4 }, marker: { symbol: k ? "diamond" : "circle", size: those.map((r) => 5 + 9 * Math.sqrt(r[4] / most)) },
      hoverinfo: "text", hovertext: those.map((r) => `${of}: ${percent(r[3])} right where ${percent(r[2])} sure, ${r[4]} answers`) }; });
    return { data: [{ x: [0, 1], y: [0, 1], mode: "lines", line: { color: css("--soft"), dash: "dot", width: 1 }, showlegend: false, hoverinfo: "skip" }, ...lines],
      layout: layout({ showlegend: true, xaxis: axis(`confidence, ${stage} calibration`, { range: [0, 1.02] }), yaxis: axis("accuracy", { range: [0, 1.02] }) }) };
  } };
}
const WORTH = { accuracy_gain: "accuracy, ensemble − member", ensemble_accuracy: "accuracy of the ensemble", ensemble_calibrated_nll: "NLL of the ensemble, calibrated" };
for (const [quantity, title] of Object.entries(WORTH)) {
  FIGURES[`groups-${quantity}`] = { depends: [], draw() {
    const rows = D.groups.rows, error = (q) => ({ type: "data", symmetric: false, array: rows.map((r) => (r[q][2] === null ? 0 : r[q][2] - r[q][0])), arrayminus: rows.map((r) => (r[q][1] === null ? 0 : r[q][0] - r[q][1])), thickness: 0.8, width: 0, color: css("--soft") });
    const base = rows.map((r) => r.group === D.groups.baseline);
    return { data: [{ x: rows.map((r) => r.hellinger[0]), y: rows.map((r) => r[quantity][0]), error_x: error("hellinger"), error_y: error(quantity), mode: rows.length <= 12 ? "markers+text" : "markers",
      text: rows.map((_, k) => String(k + 1)), textposition: "top right", textfont: { size: 11, color: css("--soft") }, marker: { size: 10, symbol: base.map((b) => (b ? "cross" : "circle")), color: base.map((b) => css(b ? "--c2" : "--c1")) },
      hoverinfo: "text", hovertext: rows.map((r, k) => `${k + 1}: ${esc(wrap(r.group.replaceAll(",", ", "), 50)).replaceAll("\n", "<br>")}<br>${r.members} members, ${say(r[quantity][0], 4)}`) }],
    layout: layout({ xaxis: axis("mean squared Hellinger distance", { nticks: 5 }), yaxis: axis(title) }) };
  } };
}
const LESS = { member_accuracy: "accuracy of members", ensemble_accuracy: "accuracy of the ensemble", ensemble_calibrated_nll: "NLL of the ensemble, calibrated", hellinger: "mean squared Hellinger distance" };
for (const [quantity, title] of Object.entries(LESS)) {
  FIGURES[`less-${quantity}`] = { depends: [], draw() {
    const { groups, rows } = D.differences, data = [];
    [["images", 6, css("--rule")], ["seeds", 1.6, css("--ink")]].forEach(([over, width, color]) => {
      const those = rows.filter((row) => row[1] === quantity && row[2] === over);
      data.push({ x: those.flatMap((row) => [row[4], row[5], null]), y: those.flatMap((row) => [row[0], row[0], null]), mode: "lines", line: { width, color }, hoverinfo: "skip" });
      data.push({ x: column(those, 3), y: column(those, 0), mode: "markers", marker: { color: css("--ink"), size: 7 }, hoverinfo: "text",
        hovertext: those.map((r) => `${esc(wrap(groups[r[0]].replaceAll(",", ", "), 50)).replaceAll("\n", "<br>")}<br>${say(r[3])} [${say(r[4])}, ${say(r[5])}] over ${over}`) });
    });
    const ends = [0, ...rows.filter((row) => row[1] === quantity).flatMap((row) => [row[4], row[5]])];
    const [from, to] = [Math.min(...ends), Math.max(...ends)], pad = 0.06 * (to - from || 1);
    return { data, layout: layout({ height: 90 + 26 * groups.length, shapes: [zero()], xaxis: axis(title, { nticks: 5, range: [from - pad, to + pad] }),
      yaxis: axis("", { tickvals: range(groups.length), ticktext: range(groups.length).map((k) => esc(narrow() || groups.length > 8 ? groups[k].slice(0, 12) : short(groups[k]))), range: [groups.length - 0.5, -0.5], ...BARE }) }) };
  } };
}
for (const [key, title] of [["confusion-mean", "all members"], ["confusion-0", "mode 1"], ["confusion-1", "mode 2"]]) {
  FIGURES[key] = { depends: [], draw() {
    const mode = key === "confusion-mean" ? null : Number(key.slice(-1)), source = mode === null ? D.confusion.mean : D.confusion.modes[mode];
    const z = source.map((row, i) => row.map((v, j) => (mode === null && i === j ? null : v))), names = D.classes.map(esc);
    const most = Math.max(...z.flat().map((v) => Math.abs(v || 0))) || 1;
    return { data: [{ type: "heatmap", z, colorscale: mode === null ? sequential() : diverging(), zmin: mode === null ? 0 : -most, zmax: most, hoverongaps: false, hoverinfo: "text",
      text: z.map((row, i) => row.map((v, j) => `${names[i]} called ${names[j]}: ${mode === null ? percent(v) : say(v, 2)}`)), colorbar: { thickness: 8, outlinewidth: 0, tickformat: mode === null ? ".0%" : ".2f" } }],
    layout: layout({ margin: { l: 60, r: 8, t: 30, b: 60 }, title: { text: mode === null ? "mean of all members" : `${title}, ${percent(D.confusion.shares[mode])} of what varies`, font: { size: 13 }, x: 0, xref: "paper", y: 0.98 },
      xaxis: axis("answer", { ...classTicks(), showgrid: false }), yaxis: axis("class", { ...classTicks(), tickangle: 0, autorange: "reversed", showgrid: false }) }) };
  } };
}

/* ---- drawing: a figure is drawn when it comes near, and again when what it depends on changes ---- */
const drawn = new Set();
const draw = (element) => {
  const { data, layout: wanted } = FIGURES[element.dataset.figure].draw();
  Plotly.react(element, data, wanted, { displayModeBar: false, responsive: true, scrollZoom: element.dataset.figure === "map" && state.space === "3" });
  drawn.add(element);
};
const set = (changes) => {
  Object.assign(state, changes);
  tell();
  for (const element of drawn) if (FIGURES[element.dataset.figure].depends.some((key) => key in changes)) draw(element);
};
const drawAll = () => document.querySelectorAll("[data-figure]").forEach(draw);

/* ---- controls ---- */
const $$ = (selector) => [...document.querySelectorAll(selector)];
const tell = () => {  // controls and notes say what is shown
  document.documentElement.classList.toggle("safe", state.safe);
  $$("[data-set=distance]").forEach((select) => { select.value = state.distance; });
  const select = document.getElementById("layout"), found = state.distance && view();
  if (select && found) {
    const options = Object.entries({ ...found.layouts, ...(D.inpca ? { inpca: D.inpca } : {}) });
    const key = options.map(([name]) => name).join();
    if (select.dataset.options !== key) {
      select.replaceChildren(...options.map(([name, l]) => new Option(l.title, name)));
      select.dataset.options = key;
    }
    const flat = (name) => state.space === "3" && options.find(([other]) => other === name)[1].xyz.length < 3;
    if (!options.some(([name]) => name === state.layout) || flat(state.layout)) state.layout = "mds";
    [...select.options].forEach((option) => { option.disabled = flat(option.value); });
    select.value = state.layout;
    const chosen = state.layout === "inpca" ? D.inpca : found.layouts[state.layout];
    document.getElementById("map-note").textContent = chosen.note || "";
  }
};
const wire = () => {
  $$("[data-set]").forEach((control) => control.addEventListener("input", () => {
    const value = control.type === "checkbox" ? control.checked : control.value;
    set({ [control.dataset.set]: value });
  }));
  const slider = document.getElementById("epoch");
  if (slider) slider.addEventListener("input", () => {
    const epoch = D.trajectories.epochs[slider.value];
    document.getElementById("epoch-now").textContent = epoch;
    slider.setAttribute("aria-valuetext", `epoch ${epoch}`);
    set({ epoch: Number(slider.value) });
  });
  $$("table.sortable").forEach(sortable);
};
const sortable = (table) => {
  const body = table.tBodies[0], rows = [...body.rows], heads = [...table.tHead.rows[0].cells];
  const value = (row, k) => { const text = row.cells[k].dataset.value ?? row.cells[k].textContent.trim(), n = Number(text); return text !== "" && !Number.isNaN(n) ? n : text; };
  heads.forEach((head, k) => head.querySelector("button")?.addEventListener("click", () => {
    const up = head.getAttribute("aria-sort") !== "ascending";
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const sorted = [...body.rows].sort((a, b) => {
      const [x, y] = [value(a, k), value(b, k)];
      const order = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y));
      return up ? order : -order;
    });
    body.append(...sorted);
  }));
  const input = document.getElementById(table.dataset.filter), count = document.getElementById(table.dataset.count);
  input?.addEventListener("input", () => {
    const wanted = input.value.trim().toLowerCase().split(/\s+/);
    let shown = 0;
    rows.forEach((row) => { row.hidden = !wanted.every((part) => row.textContent.toLowerCase().includes(part)); shown += row.hidden ? 0 : 1; });
    count.textContent = `${shown} of ${rows.length} members`;
  });
};
wire();
tell();
/* Plotly is five megabytes: it is run once the page is there to be read. */
const begin = () => {
  const script = document.createElement("script");
  script.textContent = document.getElementById("plotly").textContent;
  document.head.append(script);
  const near = new IntersectionObserver((entries) => entries.filter((e) => e.isIntersecting).forEach((e) => {
    near.unobserve(e.target);
    draw(e.target);
  }), { rootMargin: "300px" });
  $$("[data-figure]").forEach((element) => near.observe(element));
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawn.forEach(draw));
  window.addEventListener("beforeprint", drawAll);
};
window.addEventListener("load", () => requestAnimationFrame(() => setTimeout(begin)));
