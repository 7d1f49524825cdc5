/* Spectra and nulls: is the structure real? */
drawing("spectrum", ["distance"], ({ share, bands }) => {
  const shown = Math.min(share.length, 60),
    x = range(shown).map((k) => k + 1);
  const data = [
    {
      type: "bar",
      name: "members",
      x,
      y: share.slice(0, shown),
      marker: { color: faint(css("--c1"), 0.55) },
      hovertemplate: "axis %{x}: %{y:.1%}<extra></extra>",
    },
  ];
  Object.entries(bands).forEach(([name, [low, high]], k) => {
    const hex = colour(k + 1),
      n = Math.min(high.length, shown);
    data.push(band(x.slice(0, n), low.slice(0, n), high.slice(0, n), hex), {
      x: x.slice(0, n),
      y: high.slice(0, n),
      name: words(name) + ", 95%",
      mode: "lines",
      line: { color: hex, width: 1.5, dash: k ? "dash" : "dot" },
      hoverinfo: "skip",
    });
  });
  return {
    data,
    layout: layout({
      showlegend: true,
      xaxis: axis("axis", { showgrid: false, tickformat: "d" }),
      yaxis: axis("share of variance", { tickformat: ".0%", rangemode: "tozero" }),
    }),
  };
});
drawing("nulls", ["distance"], (tests) => {
  const data = [],
    annotations = [],
    shapes = [],
    axes = {},
    n = tests.length;
  tests.forEach((test, k) => {
    const at = k ? k + 1 : "",
      low = 1 - (k + 0.78) / n,
      high = 1 - k / n - 0.16 / n;
    const from = Math.min(...test.draws),
      to = Math.max(...test.draws),
      width = (to - from) / 24 || 1e-4,
      counts = new Array(25).fill(0);
    test.draws.forEach((v) => {
      counts[Math.min(24, Math.floor((v - from) / width))] += 1;
    });
    data.push({
      type: "bar",
      x: counts.map((_, b) => from + (b + 0.5) * width),
      y: counts,
      width,
      yaxis: "y" + at,
      marker: { color: css("--soft") },
      hovertemplate: `${test.title}: %{y} draws near %{x:.4f}<extra></extra>`,
    });
    axes["yaxis" + at] = { domain: [low, high], visible: false, fixedrange: true, anchor: "x" };
    annotations.push({
      text: `${test.title}, p = ${digits(test.p, 2)}`,
      xref: "paper",
      x: 0,
      yref: "paper",
      y: 1 - k / n,
      xanchor: "left",
      yanchor: "top",
      showarrow: false,
      font: { size: 12 },
    });
    shapes.push({
      type: "line",
      xref: "paper",
      x0: 0,
      x1: 1,
      yref: "paper",
      y0: low,
      y1: low,
      line: { color: css("--rule"), width: 1 },
    });
  });
  shapes.push({
    type: "line",
    x0: tests[0].observed,
    x1: tests[0].observed,
    yref: "paper",
    y0: 0,
    y1: 1,
    line: { color: css("--c1"), width: 2 },
  });
  const all = tests.flatMap((t) => [...t.draws, t.observed]),
    pad = 0.06 * (Math.max(...all) - Math.min(...all));
  return {
    data,
    layout: layout({
      ...axes,
      shapes,
      annotations,
      bargap: 0,
      margin: { l: 12, r: 12, t: 8, b: 44 },
      xaxis: axis("share of variance on two axes (line: observed)", {
        range: [Math.min(...all) - pad, Math.max(...all) + pad],
        anchor: "free",
        position: 0,
        showgrid: false,
      }),
    }),
  };
});
