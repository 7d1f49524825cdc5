/* What ensembles, configurations and members are worth. */
const METRICS = { accuracy: "accuracy", nll: "NLL (nats)", brier: "Brier score", ece: "ECE" };
for (const [metric, title] of Object.entries(METRICS)) {
  figure(`curve-${metric}`, [], () => {
    const rows = D.ensembles.curves.filter(
      (row) => row[3] === metric && row[0] !== "oracle" && row[4] !== null,
    );
    const data = [],
      combiners = [...new Set(column(rows, 0))],
      dashes = ["solid", "dot", "dash", "dashdot"],
      marks = ["circle", "square", "diamond", "x"];
    Object.entries(pair(rows, [0, 1])).forEach(([key, those]) => {
      const [combiner, stage] = key.split("|"),
        k = combiners.indexOf(combiner),
        raw = stage === "raw",
        hex = colour(k);
      if (!raw && metric === "accuracy") return; // a temperature changes no answer
      if (raw && S <= 60) data.push(band(column(those, 2), column(those, 5), column(those, 6), hex));
      data.push({
        x: column(those, 2),
        y: column(those, 4),
        name: words(combiner) + (raw ? "" : ", calibrated"),
        mode: "lines+markers",
        showlegend: raw,
        line: { color: hex, width: 1.6, dash: raw ? "solid" : "dash" },
        marker: { size: raw ? 5 : 3, symbol: marks[k % 4] },
        hovertemplate: `${words(key.replace("|", ", "))}, %{x}: %{y:.4f}<extra></extra>`,
      });
    });
    return { data, layout: layout({ showlegend: true, xaxis: axis("members", WHOLE), yaxis: axis(title) }) };
  });
  figure(`pick-${metric}`, [], () => {
    const rows = D.ensembles.selection.filter((row) => row[1] === metric),
      data = [];
    Object.entries(pair(rows, [0])).forEach(([method, those], k) => {
      const random = method === "random",
        hex = random ? css("--soft") : colour(k);
      if (random) data.unshift(band(column(those, 2), column(those, 4), column(those, 5), hex));
      data.push({
        x: column(those, 2),
        y: column(those, 3),
        name: words(method),
        mode: "lines+markers",
        marker: { size: 5, symbol: ["circle", "square", "diamond", "x"][k % 4] },
        line: { color: hex, width: 1.6 },
        hovertemplate: `${words(method)}, %{x}: %{y:.4f}<extra></extra>`,
      });
    });
    return {
      data,
      layout: layout({ showlegend: true, xaxis: axis("members picked", WHOLE), yaxis: axis(title) }),
    };
  });
}
for (const stage of ["before", "after"]) {
  figure(`reliability-${stage}`, [], () => {
    const rows = D.ensembles.reliability.filter((row) => row[1] === (stage === "after") && row[4] > 0);
    const lines = Object.entries(pair(rows, [0])).map(([of, those], k) => {
      const most = Math.max(...column(those, 4));
      return {
        x: column(those, 2),
        y: column(those, 3),
        name: of,
        mode: "lines+markers",
        line: { color: colour(k), width: 1.4 },
        marker: { symbol: k ? "diamond" : "circle", size: those.map((r) => 5 + 9 * Math.sqrt(r[4] / most)) },
        hoverinfo: "text",
        hovertext: those.map(
          (r) => `${of}: ${percent(r[3])} right where ${percent(r[2])} sure, ${r[4]} answers`,
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
}
figure("gain", [], () => {
  const rows = D.ensembles.gain;
  return {
    data: [
      {
        x: column(rows, 0),
        y: column(rows, 2),
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
const WORTH = {
  accuracy_gain: "accuracy, ensemble − member",
  ensemble_accuracy: "accuracy of the ensemble",
  ensemble_calibrated_nll: "NLL of the ensemble, calibrated",
};
for (const [quantity, title] of Object.entries(WORTH)) {
  figure(`groups-${quantity}`, [], () => {
    const rows = D.groups.rows,
      error = (q) => ({
        type: "data",
        symmetric: false,
        array: rows.map((r) => (r[q][2] === null ? 0 : r[q][2] - r[q][0])),
        arrayminus: rows.map((r) => (r[q][1] === null ? 0 : r[q][0] - r[q][1])),
        thickness: 0.8,
        width: 0,
        color: css("--soft"),
      });
    const base = rows.map((r) => r.group === D.groups.baseline);
    return {
      data: [
        {
          x: rows.map((r) => r.hellinger[0]),
          y: rows.map((r) => r[quantity][0]),
          error_x: error("hellinger"),
          error_y: error(quantity),
          mode: rows.length <= 12 ? "markers+text" : "markers",
          text: rows.map((_, k) => String(k + 1)),
          textposition: "top right",
          textfont: { size: 11, color: css("--soft") },
          marker: {
            size: 10,
            symbol: base.map((b) => (b ? "cross" : "circle")),
            color: base.map((b) => css(b ? "--c2" : "--c1")),
          },
          hoverinfo: "text",
          hovertext: rows.map(
            (r, k) =>
              `${k + 1}: ${esc(wrap(r.group.replaceAll(",", ", "), 50)).replaceAll("\n", "<br>")}<br>${r.members} members, ${say(r[quantity][0], 4)}`,
          ),
        },
      ],
      layout: layout({ xaxis: axis("mean squared Hellinger distance", { nticks: 5 }), yaxis: axis(title) }),
    };
  });
}
const LESS = {
  member_accuracy: "accuracy of members",
  ensemble_accuracy: "accuracy of the ensemble",
  ensemble_calibrated_nll: "NLL of the ensemble, calibrated",
  hellinger: "mean squared Hellinger distance",
};
for (const [quantity, title] of Object.entries(LESS)) {
  figure(`less-${quantity}`, [], () => {
    const { groups, rows } = D.differences,
      data = [];
    [
      ["images", 6, css("--rule")],
      ["seeds", 1.6, css("--ink")],
    ].forEach(([over, width, color]) => {
      const those = rows.filter((row) => row[1] === quantity && row[2] === over);
      data.push({
        x: those.flatMap((row) => [row[4], row[5], null]),
        y: those.flatMap((row) => [row[0], row[0], null]),
        mode: "lines",
        line: { width, color },
        hoverinfo: "skip",
      });
      data.push({
        x: column(those, 3),
        y: column(those, 0),
        mode: "markers",
        marker: { color: css("--ink"), size: 7 },
        hoverinfo: "text",
        hovertext: those.map(
          (r) =>
            `${esc(wrap(groups[r[0]].replaceAll(",", ", "), 50)).replaceAll("\n", "<br>")}<br>${say(r[3])} [${say(r[4])}, ${say(r[5])}] over ${over}`,
        ),
      });
    });
    const ends = [0, ...rows.filter((row) => row[1] === quantity).flatMap((row) => [row[4], row[5]])];
    const [from, to] = [Math.min(...ends), Math.max(...ends)],
      pad = 0.06 * (to - from || 1);
    return {
      data,
      layout: layout({
        height: 90 + 26 * groups.length,
        shapes: [zero()],
        xaxis: axis(title, { nticks: 5, range: [from - pad, to + pad] }),
        yaxis: axis("", {
          tickvals: range(groups.length),
          ticktext: apart(groups, narrow() ? 12 : 24).map(esc),
          range: [groups.length - 0.5, -0.5],
          ...BARE,
        }),
      }),
    };
  });
}
figure("classes", ["safe"], () => {
  const C = D.classes.length,
    jitter = (i) => (S > 1 ? (i / (S - 1) - 0.5) * 0.6 : 0);
  return {
    data: D.class_accuracy.map((row, i) => ({
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
for (const [key, title] of [
  ["confusion-mean", "all members"],
  ["confusion-0", "mode 1"],
  ["confusion-1", "mode 2"],
]) {
  figure(key, [], () => {
    const mode = key === "confusion-mean" ? null : Number(key.slice(-1)),
      source = mode === null ? D.confusion.mean : D.confusion.modes[mode];
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
            row.map((v, j) => `${names[i]} called ${names[j]}: ${mode === null ? percent(v) : say(v, 2)}`),
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
              : `${title}, ${percent(D.confusion.shares[mode])} of what varies`,
          font: { size: 13 },
          x: 0,
          xref: "paper",
          y: 0.98,
        },
        xaxis: axis("answer", { ...classTicks(), showgrid: false }),
        yaxis: axis("class", { ...classTicks(), tickangle: 0, autorange: "reversed", showgrid: false }),
      }),
    };
  });
}
