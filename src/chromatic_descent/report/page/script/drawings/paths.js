/* Members' paths through training. */
drawing("paths", ["epoch", "safe"], ({ epochs, xy, landmarks }) => {
  const end = Math.min(state.epoch, epochs.length - 1);
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
drawing("progress", ["safe"], ({ epochs, progress }) => {
  return {
    data: progress.map((y, i) => ({
      x: epochs,
      y,
      mode: "lines",
      line: { color: colours()[i], width: 1.4 },
      hoverinfo: "text",
      hovertext: epochs.map((e, t) => `${esc(D.members.name[i])}, epoch ${e}: ${digits(y[t])}`),
    })),
    layout: layout({
      xaxis: axis("epochs trained"),
      yaxis: axis("progress, ignorance to truth", { rangemode: "tozero" }),
    }),
  };
});
drawing("separation", [], ({ epochs, ratio, low, high }) => {
  const known = range(epochs.length).filter((t) => ratio[t] !== null);
  const at = (v) => known.map((t) => v[t]),
    hex = css("--c1");
  return {
    data: [
      band(at(epochs), at(low), at(high), hex),
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
