/* Where members lie, and the paths that led there. */
figure("map", ["distance", "layout", "space", "ellipses", "safe"], () => {
  const chosen = state.layout === "inpca" ? D.inpca : view().layouts[state.layout];
  const [x, y, z] = chosen.xyz;
  if (state.space === "3" && z) {
    const side = (k) => ({
      title: { text: chosen.axes[k], font: { size: 11 } },
      gridcolor: css("--line"),
      zeroline: false,
      showbackground: false,
      color: css("--soft"),
      showspikes: false,
      nticks: 5,
      tickfont: { size: 10 },
    });
    return {
      data: [
        points({
          type: "scatter3d",
          x,
          y,
          z,
          marker: {
            color: colours(),
            symbol: symbols3(),
            size: S > 60 ? 4 : 7,
            line: { color: css("--ink"), width: 1 },
          },
        }),
      ],
      layout: layout({
        margin: { l: 0, r: 0, t: 0, b: 0 },
        dragmode: "orbit",
        uirevision: "3d",
        scene: {
          aspectmode: "data",
          xaxis: side(0),
          yaxis: side(1),
          zaxis: side(2),
          camera: { eye: { x: 1.2, y: 1.2, z: 0.7 } },
        },
      }),
    };
  }
  const shapes = state.layout === "mds" && state.ellipses ? view().ellipses.map(ellipse) : [];
  const named =
    S <= 30
      ? {
          mode: "markers+text",
          text: D.members.tag.map(esc),
          textfont: { size: 10, color: colours().map(readable) },
          marker: {
            color: colours(),
            symbol: symbols(),
            size: 21,
            line: { color: css("--paper"), width: 1 },
          },
        }
      : {};
  const width = Math.max(...x) - Math.min(...x),
    flat = y.every((v) => Math.abs(v) < 1e-6 * width);
  return {
    data: [...shapes, points({ x, y, ...named })],
    layout: layout({
      dragmode: narrow() ? false : "pan",
      xaxis: axis(chosen.axes[0], { fixedrange: false, nticks: 6 }),
      yaxis: axis(chosen.axes[1] || "", {
        fixedrange: false,
        scaleanchor: "x",
        nticks: 6,
        ...(flat ? { range: [-width / 2, width / 2] } : {}),
      }),
    }),
  };
});
const ellipse = ([cx, cy, a, b, turn], i) => {
  const t = range(49).map((k) => (2 * Math.PI * k) / 48);
  return {
    x: t.map((s) => cx + a * Math.cos(s) * Math.cos(turn) - b * Math.sin(s) * Math.sin(turn)),
    y: t.map((s) => cy + a * Math.cos(s) * Math.sin(turn) + b * Math.sin(s) * Math.cos(turn)),
    mode: "lines",
    fill: "toself",
    fillcolor: faint(colours()[i], 0.1),
    line: { color: faint(colours()[i], 0.7), width: 1 },
    hoverinfo: "skip",
  };
};
figure("heatmap", ["distance", "safe"], () => {
  const { order, upper, tree } = view().heatmap;
  const z = range(S).map(() => new Array(S).fill(null));
  let next = 0;
  for (let i = 0; i < S; i++) for (let j = i + 1; j < S; j++) z[i][j] = z[j][i] = upper[next++];
  const names = order.map((m) => esc(D.members.label[m]));
  const text =
    S <= 60 ? z.map((row, i) => row.map((v, j) => `${names[i]} and ${names[j]}: ${say(v)}`)) : undefined;
  const [tx, ty] = [0, 1].map((k) => tree.flatMap((join) => [...join[k], null]));
  const ticks =
    S <= 40 ? { tickvals: range(S), ticktext: names, ...BARE } : { showticklabels: false, ...BARE };
  const dots = {
    x: range(S).map(() => -1 - S / 60),
    y: range(S),
    mode: "markers",
    xaxis: "x",
    yaxis: "y",
    hoverinfo: "text",
    cliponaxis: false,
    hovertext: order.map((m) => hover()[m]),
    marker: {
      symbol: "square",
      color: order.map((m) => colours()[m]),
      size: Math.max(3, Math.min(12, 320 / S)),
    },
  };
  return {
    data: [
      {
        type: "heatmap",
        z,
        colorscale: sequential(),
        hoverongaps: false,
        hoverinfo: text ? "text" : "z",
        text,
        colorbar: {
          thickness: 10,
          len: 0.78,
          y: 0.39,
          outlinewidth: 0,
          title: { text: "distance", side: "right" },
        },
      },
      {
        x: tx,
        y: ty,
        mode: "lines",
        yaxis: "y2",
        line: { color: css("--soft"), width: 1 },
        hoverinfo: "skip",
      },
      dots,
    ],
    layout: layout({
      margin: { l: 40, r: 10, t: 10, b: 50 },
      xaxis: axis("", { ...ticks, range: [-1.5 - S / 30, S - 0.5], anchor: "y" }),
      yaxis: axis("", { ...ticks, domain: [0, 0.8], range: [S - 0.5, -0.5] }),
      yaxis2: { domain: [0.82, 1], visible: false, fixedrange: true },
    }),
  };
});
figure("mantel", [], () => {
  const names = D.mantel.names.map(esc),
    ticks = { tickvals: range(names.length), ticktext: names, ...BARE };
  return {
    data: [
      {
        type: "heatmap",
        z: D.mantel.r,
        zmin: -1,
        zmax: 1,
        colorscale: diverging(),
        hoverinfo: "text",
        text: D.mantel.r.map((row, i) => row.map((r, j) => `${names[i]} and ${names[j]}: r = ${say(r, 2)}`)),
        colorbar: { thickness: 10, outlinewidth: 0, title: { text: "Mantel's r", side: "right" } },
      },
    ],
    layout: layout({
      xaxis: axis("", { ...ticks, tickangle: -60 }),
      yaxis: axis("", { ...ticks, autorange: "reversed" }),
    }),
  };
});
figure("paths", ["epoch", "safe"], () => {
  const { epochs, xy, landmarks } = D.trajectories,
    end = Math.min(state.epoch, epochs.length - 1);
  const marks = [
    ["ignorance", landmarks[0]],
    ["truth", landmarks[1]],
  ];
  const lines = xy.map((path, i) => ({
    x: path.slice(0, end + 1).map((p) => p[0]),
    y: path.slice(0, end + 1).map((p) => p[1]),
    mode: "lines",
    line: { color: colours()[i], width: S > 60 ? 0.8 : 1.6 },
    hoverinfo: "skip",
  }));
  const all = [0, 1].map((k) => [
    ...xy.flatMap((path) => path.map((p) => p[k])),
    ...landmarks.map((p) => p[k]),
  ]);
  const span = all.map((v) => {
    const a = Math.min(...v),
      b = Math.max(...v),
      pad = 0.08 * (b - a);
    return [a - pad, b + pad];
  });
  return {
    data: [
      ...lines,
      {
        x: marks.map((m) => m[1][0]),
        y: marks.map((m) => m[1][1]),
        text: marks.map((m) => m[0]),
        mode: "markers+text",
        textposition: "bottom center",
        cliponaxis: false,
        marker: { symbol: "x-thin", size: 9, color: css("--ink"), line: { width: 1.5, color: css("--ink") } },
        hoverinfo: "skip",
      },
      points({
        x: xy.map((p) => p[end][0]),
        y: xy.map((p) => p[end][1]),
        marker: {
          color: colours(),
          symbol: symbols(),
          size: S > 60 ? 6 : 9,
          line: { color: css("--ink"), width: 0.8 },
        },
      }),
    ],
    layout: layout({
      xaxis: axis("InPCA axis 1", { range: span[0], nticks: 6 }),
      yaxis: axis("InPCA axis 2", { range: span[1], nticks: 6 }),
    }),
  };
});
figure("progress", ["safe"], () => {
  const { epochs, progress } = D.trajectories;
  return {
    data: progress.map((y, i) => ({
      x: epochs,
      y,
      mode: "lines",
      line: { color: colours()[i], width: 1.4 },
      hoverinfo: "text",
      hovertext: epochs.map((e, t) => `${esc(D.members.name[i])}, epoch ${e}: ${say(y[t])}`),
    })),
    layout: layout({
      xaxis: axis("epochs trained"),
      yaxis: axis("progress, ignorance to truth", { rangemode: "tozero" }),
    }),
  };
});
figure("separation", [], () => {
  const { epochs, ratio, ratio_low, ratio_high } = D.trajectories,
    kept = range(epochs.length).filter((t) => ratio[t] !== null);
  const at = (v) => kept.map((t) => v[t]),
    hex = css("--c1");
  return {
    data: [
      band(at(epochs), at(ratio_low), at(ratio_high), hex),
      {
        x: at(epochs),
        y: at(ratio),
        mode: "lines+markers",
        line: { color: hex },
        hovertemplate: "epoch %{x}: %{y:.2f}<extra></extra>",
      },
    ],
    layout: layout({
      xaxis: axis("epochs trained"),
      yaxis: axis("between members / per step", { rangemode: "tozero" }),
      shapes: [level(1)],
    }),
  };
});
