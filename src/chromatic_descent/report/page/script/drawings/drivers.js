/* What drives the axes. */
drawing("drivers", ["distance"], ({ order, rows }) => {
  const data = [1, 2].map((k) => {
    const shown = rows.filter((row) => row[0] === k && row[2] !== null),
      hex = colour(k - 1);
    const y = shown.map((row) => order.indexOf(row[1]) + (k - 1.5) * 0.34);
    return {
      name: `axis ${k}`,
      x: column(shown, 2),
      y,
      mode: "markers",
      marker: {
        color: hex,
        size: 9,
        symbol: shown.map((row) => (row[5] <= 0.05 ? "circle" : "circle-open")),
        line: { width: 1.5, color: hex },
      },
      error_x: {
        type: "data",
        symmetric: false,
        array: shown.map((r) => r[4] - r[2]),
        arrayminus: shown.map((r) => r[2] - r[3]),
        color: hex,
        thickness: 1,
        width: 0,
      },
      hoverinfo: "text",
      hovertext: shown.map(
        (r) =>
          `${esc(r[1])}, axis ${k}: r = ${digits(r[2], 2)} [${digits(r[3], 2)}, ${digits(r[4], 2)}], p = ${digits(r[5], 2)}`,
      ),
    };
  });
  return {
    data,
    layout: layout({
      showlegend: true,
      xaxis: axis("r with the axis", { range: [-1.05, 1.05] }),
      shapes: [zero()],
      yaxis: axis("", {
        tickvals: range(order.length),
        ticktext: order.map((name) => esc(narrow() ? short(name) : name.slice(0, 40))),
        autorange: "reversed",
        showgrid: false,
        ticks: "",
      }),
    }),
  };
});
drawing("interventions", ["distance"], (all) => {
  const rows = all.filter((row) => row[1] !== null);
  return {
    data: [
      {
        type: "bar",
        orientation: "h",
        x: column(rows, 1),
        y: range(rows.length),
        marker: { color: css("--c1") },
        width: 0.55,
        error_x: {
          type: "data",
          symmetric: false,
          array: rows.map((r) => r[3] - r[1]),
          arrayminus: rows.map((r) => r[1] - r[2]),
          color: css("--ink"),
          thickness: 1.2,
          width: 4,
        },
        hoverinfo: "text",
        hovertext: rows.map((r) => `${words(r[0])}: ${percent(r[1])} [${percent(r[2])}, ${percent(r[3])}]`),
      },
    ],
    layout: layout({
      xaxis: axis("share of top-2 variance removed", { tickformat: ".0%" }),
      shapes: [zero()],
      yaxis: axis("", {
        tickvals: range(rows.length),
        ticktext: rows.map((r) => words(r[0])),
        autorange: "reversed",
        showgrid: false,
        ticks: "",
      }),
    }),
  };
});
