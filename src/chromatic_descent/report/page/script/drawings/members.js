/* Members class by class. */
drawing("classes", ["safe"], (accuracy) => {
  const C = D.classes.length,
    jitter = (i) => (S > 1 ? (i / (S - 1) - 0.5) * 0.6 : 0);
  return {
    data: accuracy.map((row, i) => ({
      x: row.map((_, c) => c + jitter(i)),
      y: row,
      mode: "markers",
      type: S * C > 6000 ? "scattergl" : "scatter",
      marker: {
        color: colours()[i],
        symbol: symbols()[i],
        size: S > 60 ? 4 : 8,
        line: { color: css("--ink"), width: S > 60 ? 0 : 0.6 },
      },
      hoverinfo: "text",
      hovertext: row.map((a, c) => `${esc(D.members.name[i])}, ${esc(D.classes[c])}: ${percent(a)}`),
    })),
    layout: layout({ xaxis: axis("", classTicks()), yaxis: axis("accuracy", { tickformat: ".0%" }) }),
  };
});
drawing("confusion", [], ({ mean, modes, shares }, part) => {
  const mode = part === "mean" ? null : Number(part),
    source = mode === null ? mean : modes[mode];
  if (!source) return nothing("there are too few members for this mode");
  const z = source.map((row, i) => row.map((v, j) => (mode === null && i === j ? null : v))),
    names = D.classes.map(esc);
  const most = Math.max(...z.flat().map((v) => Math.abs(v || 0))) || 1;
  return {
    data: [
      {
        type: "heatmap",
        z,
        colorscale: mode === null ? sequential() : diverging(),
        zmin: mode === null ? 0 : -most,
        zmax: most,
        hoverongaps: false,
        hoverinfo: "text",
        text: z.map((row, i) =>
          row.map((v, j) => `${names[i]} taken for ${names[j]}: ${mode === null ? percent(v) : digits(v, 2)}`),
        ),
        colorbar: { thickness: 8, outlinewidth: 0, tickformat: mode === null ? ".0%" : ".2f" },
      },
    ],
    layout: layout({
      margin: { l: 60, r: 8, t: 30, b: 60 },
      title: {
        text:
          mode === null
            ? "mean of all members"
            : `mode ${mode + 1}, ${percent(shares[mode])} of what varies`,
        font: { size: 13 },
        x: 0,
        xref: "paper",
        y: 0.98,
      },
      xaxis: axis("predicted class", { ...classTicks(), showgrid: false }),
      yaxis: axis("class", { ...classTicks(), tickangle: 0, autorange: "reversed", showgrid: false }),
    }),
  };
});
