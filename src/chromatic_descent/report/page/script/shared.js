/* What all drawings share: the data, the choices of the reader, colours, axes, and the list of drawings.
   Everything that comes from a study is text: esc() keeps Plotly from reading it as markup. */
"use strict";
const D = JSON.parse(document.getElementById("data").textContent);
const state = {
  distance: D.distance in D.distances ? D.distance : Object.keys(D.distances)[0],
  layout: "mds",
  space: "2",
  ellipses: true,
  safe: false,
  epoch: 1e9,
};
const esc = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const short = (text) => (text.length > 22 ? text.slice(0, 21) + "…" : text);
// Names cut to a length: without their common beginning, and shortened in the middle, since ends differ too.
const apart = (names, most) => {
  let same = 0;
  while (names.length > 1 && names.every((name) => name.length > same + 1 && name[same] === names[0][same])) same += 1;
  const head = Math.floor(most / 3);
  return names
    .map((name) => name.slice(same))
    .map((name) => (name.length > most ? name.slice(0, head) + "…" + name.slice(head + 1 - most) : name));
};
const range = (n) => Array.from({ length: n }, (_, k) => k);
const digits = (x, count = 3) => (x === null || x === undefined ? "–" : Number(x).toPrecision(count));
const percent = (x) => (x === null ? "–" : (100 * x).toFixed(1) + "%");
const words = (name) => name.replaceAll("_", " ");
const view = () => D.distances[state.distance];
const S = D.members.name.length;
const narrow = () => window.innerWidth < 640;

/* ---- members ---- */
const colours = () => (state.safe ? D.members.safe : D.members.hex);
const symbols = () => (state.safe || D.several_configurations ? D.members.symbol : D.members.symbol.map(() => "circle"));
const SOLID = ["circle", "square", "diamond", "cross", "x"]; // the symbols that exist in 3-D
const INSTEAD = { "triangle-up": "cross", "triangle-down": "x", star: "diamond" };
const symbols3 = () => symbols().map((s) => (SOLID.includes(s) ? s : INSTEAD[s] || "circle"));
const hover = () =>
  range(S).map((i) =>
    [
      `<b>${esc(D.members.name[i])}</b>`,
      `accuracy ${digits(D.members.accuracy[i], 4)}, temperature ${digits(D.members.temperature[i])}`,
      ...(D.members.recipe[i] ? [esc(wrap(D.members.recipe[i], 60)).replaceAll("\n", "<br>")] : []),
    ].join("<br>"),
  );
const wrap = (text, width) => {
  const lines = [""];
  for (const word of text.split(" ")) {
    if ((lines.at(-1) + " " + word).length > width) lines.push(word);
    else lines.push((lines.pop() + " " + word).trim());
  }
  return lines.join("\n");
};

/* ---- colours, axes, traces ---- */
const PALETTE = ["--c1", "--c2", "--c3", "--c4", "--c5", "--c6", "--c7"];
const colour = (k) => css(PALETTE[k % PALETTE.length]);
const faint = (hex, alpha) =>
  hex +
  Math.round(255 * alpha)
    .toString(16)
    .padStart(2, "0");

const readable = (hex) => {
  // black or white on a colour
  const [r, g, b] = [1, 3, 5].map((k) => (parseInt(hex.slice(k, k + 2), 16) / 255) ** 2.2);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.2 ? "#000000" : "#ffffff";
};

const axis = (title, extra = {}) => ({
  title: { text: title, standoff: 8, font: { size: 12 } },
  gridcolor: css("--line"),
  linecolor: css("--rule"),
  zeroline: false,
  showgrid: true,
  ticks: "outside",
  tickcolor: css("--rule"),
  automargin: true,
  fixedrange: true,
  ...extra,
});
const layout = (extra = {}) => ({
  paper_bgcolor: "rgba(0,0,0,0)",
  plot_bgcolor: "rgba(0,0,0,0)",
  showlegend: false,
  dragmode: false,
  font: { family: css("--sans"), size: 12, color: css("--ink") },
  margin: { l: 52, r: 12, t: 14, b: 44 },
  hoverlabel: {
    bgcolor: css("--paper"),
    bordercolor: css("--rule"),
    font: { family: css("--sans"), color: css("--ink") },
    align: "left",
  },
  legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, font: { size: 12 } },
  ...extra,
});
const band = (x, low, high, hex) => ({
  x: [...x, ...[...x].reverse()],
  y: [...high, ...[...low].reverse()],
  fill: "toself",
  mode: "lines",
  line: { width: 0 },
  fillcolor: faint(hex, 0.16),
  hoverinfo: "skip",
  showlegend: false,
});
const points = (extra) => ({
  mode: "markers",
  hoverinfo: "text",
  hovertext: hover(),
  marker: {
    color: colours(),
    symbol: symbols(),
    size: S > 60 ? 8 : 13,
    line: { color: css("--ink"), width: 0.8 },
  },
  ...extra,
});
const nothing = (reason) => ({
  data: [],
  layout: layout({
    xaxis: { visible: false },
    yaxis: { visible: false },
    annotations: [
      {
        text: esc(wrap("Not computed: " + reason, narrow() ? 36 : 70)).replaceAll("\n", "<br>"),
        showarrow: false,
        font: { size: 13, color: css("--soft") },
      },
    ],
  }),
});
const groupBy = (rows, keys) =>
  rows.reduce((groups, row) => {
    const key = keys.map((k) => row[k]).join("|");
    (groups[key] = groups[key] || []).push(row);
    return groups;
  }, {});
const column = (rows, k) => rows.map((row) => row[k]);
const WHOLE = S <= 12 ? { dtick: S <= 6 ? 1 : 2 } : {};
const BARE = { showgrid: false, showline: false, ticks: "" };
const zero = () => ({
  type: "line",
  x0: 0,
  x1: 0,
  yref: "paper",
  y0: 0,
  y1: 1,
  line: { color: css("--rule"), width: 1 },
});
const level = (y) => ({
  type: "line",
  xref: "paper",
  x0: 0,
  x1: 1,
  y0: y,
  y1: y,
  line: { color: css("--soft"), width: 1, dash: "dot" },
});
const sequential = () => [
  [0, css("--s0")],
  [1, css("--s1")],
];
const diverging = () => [
  [0, css("--c2")],
  [0.5, css("--paper")],
  [1, css("--c1")],
];
const classTicks = () => {
  const names = D.classes.map((name) => esc(short(name)));
  return names.length <= 30
    ? {
        tickvals: range(names.length),
        ticktext: names,
        ...BARE,
        tickangle: names.some((n) => n.length > 3) ? -40 : 0,
      }
    : { showgrid: false, title: { text: "class" } };
};

/* A drawing makes {data, layout} from a figure's data and from the part that a panel names; it is drawn
   again when a choice that it depends on changes. */
const DRAWINGS = {};
const drawing = (name, depends, draw) => {
  DRAWINGS[name] = { depends, draw };
};
const drawingOf = (element) => {
  const [name, ...part] = element.dataset.drawing.split("-");
  return { ...DRAWINGS[name], part: part.join("-") };
};
const dataOf = (figure) => (figure in D.figures ? D.figures[figure] : view()[figure]);

/* A figure that comes as Plotly's own data and layout, from Python. */
drawing("plain", [], (figure) => {
  const axes = Object.entries(figure.layout || {}).map(([key, value]) => [
    key,
    /^[xy]axis/.test(key) ? { ...axis(""), ...value } : value,
  ]);
  return { data: figure.data, layout: layout(Object.fromEntries(axes)) };
});
