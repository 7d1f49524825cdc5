/* Scores of ensembles, and which members to pick. */
drawing("curve", [], ({ titles, rows: all }, metric) => {
  const rows = all.filter((row) => row[3] === metric && row[0] !== "oracle" && row[4] !== null);
  const data = [],
    combiners = [...new Set(column(rows, 0))],
    marks = ["circle", "square", "diamond", "x"];
  Object.entries(groupBy(rows, [0, 1])).forEach(([key, part]) => {
    const [combiner, stage] = key.split("|"),
      k = combiners.indexOf(combiner),
      raw = stage === "raw",
      hex = colour(k);
    if (!raw && metric === "accuracy") return; // a temperature changes no predicted class
    if (raw && S <= 60) data.push(band(column(part, 2), column(part, 5), column(part, 6), hex));
    data.push({
      x: column(part, 2),
      y: column(part, 4),
      name: words(combiner) + (raw ? "" : ", calibrated"),
      mode: "lines+markers",
      showlegend: raw,
      line: { color: hex, width: 1.6, dash: raw ? "solid" : "dash" },
      marker: { size: raw ? 5 : 3, symbol: marks[k % 4] },
      hovertemplate: `${words(key.replace("|", ", "))}, %{x}: %{y:.4f}<extra></extra>`,
    });
  });
  return { data, layout: layout({ showlegend: true, xaxis: axis("members", WHOLE), yaxis: axis(titles[metric]) }) };
});
drawing("pick", [], ({ titles, rows: all }, metric) => {
  const rows = all.filter((row) => row[1] === metric),
    data = [];
  Object.entries(groupBy(rows, [0])).forEach(([method, part], k) => {
    const random = method === "random",
      hex = random ? css("--soft") : colour(k);
    if (random) data.unshift(band(column(part, 2), column(part, 4), column(part, 5), hex));
    data.push({
      x: column(part, 2),
      y: column(part, 3),
      name: words(method),
      mode: "lines+markers",
      marker: { size: 5, symbol: ["circle", "square", "diamond", "x"][k % 4] },
      line: { color: hex, width: 1.6 },
      hovertemplate: `${words(method)}, %{x}: %{y:.4f}<extra></extra>`,
    });
  });
  return {
    data,
    layout: layout({ showlegend: true, xaxis: axis("members picked", WHOLE), yaxis: axis(titles[metric]) }),
  };
});
drawing("reliability", [], (all, stage) => {
  const rows = all.filter((row) => row[1] === (stage === "after") && row[4] > 0);
  const lines = Object.entries(groupBy(rows, [0])).map(([of, part], k) => {
    const most = Math.max(...column(part, 4));
    return {
      x: column(part, 2),
      y: column(part, 3),
      name: of,
      mode: "lines+markers",
      line: { color: colour(k), width: 1.4 },
      marker: { symbol: k ? "diamond" : "circle", size: part.map((r) => 5 + 9 * Math.sqrt(r[4] / most)) },
      hoverinfo: "text",
      hovertext: part.map(
        (r) => `${of}: ${percent(r[3])} right where ${percent(r[2])} sure, ${r[4]} predictions`,
      ),
    };
  });
  return {
    data: [
      {
        x: [0, 1],
        y: [0, 1],
        mode: "lines",
        line: { color: css("--soft"), dash: "dot", width: 1 },
        showlegend: false,
        hoverinfo: "skip",
      },
      ...lines,
    ],
    layout: layout({
      showlegend: true,
      xaxis: axis(`confidence, ${stage} calibration`, { range: [0, 1.02] }),
      yaxis: axis("accuracy", { range: [0, 1.02] }),
    }),
  };
});
drawing("gain", [], (rows) => {
  return {
    data: [
      {
        x: column(rows, 0),
        y: column(rows, 1),
        mode: "markers",
        marker: { color: css("--c1"), size: 6, opacity: 0.6 },
        hoverinfo: "skip",
      },
    ],
    layout: layout({
      xaxis: axis("mean squared Hellinger distance", { nticks: 5 }),
      yaxis: axis("NLL gained by combining (nats)"),
    }),
  };
});
