/* Distances between members, and how alike the distances are. */
drawing("heatmap", ["distance", "safe"], ({ order, upper, tree }) => {
  const z = range(S).map(() => new Array(S).fill(null));
  let next = 0;
  for (let i = 0; i < S; i++) for (let j = i + 1; j < S; j++) z[i][j] = z[j][i] = upper[next++];
  const names = order.map((m) => esc(D.members.label[m]));
  const text =
    S <= 60 ? z.map((row, i) => row.map((v, j) => `${names[i]} and ${names[j]}: ${digits(v)}`)) : undefined;
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
drawing("mantel", [], (mantel) => {
  const names = mantel.names.map(esc),
    ticks = { tickvals: range(names.length), ticktext: names, ...BARE };
  return {
    data: [
      {
        type: "heatmap",
        z: mantel.r,
        zmin: -1,
        zmax: 1,
        colorscale: diverging(),
        hoverinfo: "text",
        text: mantel.r.map((row, i) => row.map((r, j) => `${names[i]} and ${names[j]}: r = ${digits(r, 2)}`)),
        colorbar: { thickness: 10, outlinewidth: 0, title: { text: "Mantel's r", side: "right" } },
      },
    ],
    layout: layout({
      xaxis: axis("", { ...ticks, tickangle: -60 }),
      yaxis: axis("", { ...ticks, autorange: "reversed" }),
    }),
  };
});
