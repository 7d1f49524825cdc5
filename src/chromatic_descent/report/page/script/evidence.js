/* What the map is worth: spectra, nulls, dimension, drivers. */
figure("spectrum", ["distance"], () => {
  const { share, bands } = view().spectrum,
    shown = Math.min(share.length, 60),
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
figure("nulls", ["distance"], () => {
  const tests = view().nulls;
  if (!tests.length) return nothing(view().nulls_reason);
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
      text: `${test.title}, p = ${say(test.p, 2)}`,
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
const OVER = { members: "members", images: "probe images" };
for (const [quantity, over] of [
  ["participation_ratio", "members"],
  ["participation_ratio", "images"],
  ["top_2_share", "members"],
  ["top_2_share", "images"],
]) {
  figure(`${quantity}-${over}`, ["distance"], () => {
    const rows = view().dimension.filter((row) => row[0] === over && row[2] === quantity),
      hex = css("--c1");
    if (!rows.length) return nothing(view().dimension_reason || "too few members");
    const x = column(rows, 1),
      most = quantity === "participation_ratio" && over === "members";
    const bound = quantity === "top_2_share" && over === "members";
    return {
      data: [
        ...(most
          ? [
              {
                x,
                y: x.map((s) => s - 1),
                mode: "lines",
                name: "the most there can be, S − 1",
                line: { color: css("--soft"), dash: "dot", width: 1 },
                hoverinfo: "skip",
              },
            ]
          : []),
        ...(bound
          ? [
              {
                x,
                y: x.map((s) => Math.min(1, 2 / (s - 1))),
                mode: "lines",
                name: "equidistant members, 2/(S − 1)",
                line: { color: css("--soft"), dash: "dot", width: 1 },
                hoverinfo: "skip",
              },
            ]
          : []),
        band(x, column(rows, 4), column(rows, 5), hex),
        {
          x,
          y: column(rows, 3),
          name: "members",
          mode: "lines+markers",
          line: { color: hex },
          hovertemplate: "%{x}: %{y:.3f}<extra></extra>",
        },
      ],
      layout: layout({
        showlegend: most || bound,
        xaxis: axis(
          OVER[over],
          over === "images" ? { type: "log", tickvals: ticksOf(x), ticktext: ticksOf(x) } : WHOLE,
        ),
        yaxis: axis(words(quantity).replace("top 2", "top-2"), { rangemode: "tozero" }),
      }),
    };
  });
}
const ticksOf = (x) => x.filter((_, k) => x.length < 6 || k % 2 === (x.length - 1) % 2);
figure("drivers", ["distance"], () => {
  const found = view().drivers;
  if (found.reason) return nothing(found.reason);
  const data = [1, 2].map((k) => {
    const rows = found.table.filter((row) => row[0] === k && row[2] !== null),
      hex = colour(k - 1);
    const place = rows.map((row) => found.order.indexOf(row[1]) + (k - 1.5) * 0.34);
    return {
      name: `axis ${k}`,
      x: column(rows, 2),
      y: place,
      mode: "markers",
      marker: {
        color: hex,
        size: 9,
        symbol: rows.map((row) => (row[5] <= 0.05 ? "circle" : "circle-open")),
        line: { width: 1.5, color: hex },
      },
      error_x: {
        type: "data",
        symmetric: false,
        array: rows.map((r) => r[4] - r[2]),
        arrayminus: rows.map((r) => r[2] - r[3]),
        color: hex,
        thickness: 1,
        width: 0,
      },
      hoverinfo: "text",
      hovertext: rows.map(
        (r) =>
          `${esc(r[1])}, axis ${k}: r = ${say(r[2], 2)} [${say(r[3], 2)}, ${say(r[4], 2)}], p = ${say(r[5], 2)}`,
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
        tickvals: range(found.order.length),
        ticktext: found.order.map((name) => esc(narrow() ? short(name) : name.slice(0, 40))),
        autorange: "reversed",
        showgrid: false,
        ticks: "",
      }),
    }),
  };
});
figure("interventions", ["distance"], () => {
  const found = view().drivers;
  if (found.reason) return nothing(found.reason);
  const rows = found.interventions.filter((row) => row[1] !== null);
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
