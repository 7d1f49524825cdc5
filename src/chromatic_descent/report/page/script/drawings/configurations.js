/* Configurations against each other. */
drawing("groups", [], ({ baseline, across, titles, rows }, quantity) => {
  const error = (q) => ({
      type: "data",
      symmetric: false,
      array: rows.map((r) => (r[q][2] === null ? 0 : r[q][2] - r[q][0])),
      arrayminus: rows.map((r) => (r[q][1] === null ? 0 : r[q][0] - r[q][1])),
      thickness: 0.8,
      width: 0,
      color: css("--soft"),
    });
  const base = rows.map((r) => r.group === baseline);
  return {
    data: [
      {
        x: rows.map((r) => r[across[0]][0]),
        y: rows.map((r) => r[quantity][0]),
        error_x: error(across[0]),
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
            `${k + 1}: ${esc(wrap(r.group.replaceAll(",", ", "), 50)).replaceAll("\n", "<br>")}<br>${r.members} members, ${digits(r[quantity][0], 4)}`,
        ),
      },
    ],
    layout: layout({ xaxis: axis(across[1], { nticks: 5 }), yaxis: axis(titles[quantity]) }),
  };
});
drawing("less", [], ({ groups, titles, rows }, quantity) => {
  const data = [];
  [
    ["images", 6, css("--rule")],
    ["seeds", 1.6, css("--ink")],
  ].forEach(([over, width, color]) => {
    const part = rows.filter((row) => row[1] === quantity && row[2] === over);
    data.push({
      x: part.flatMap((row) => [row[4], row[5], null]),
      y: part.flatMap((row) => [row[0], row[0], null]),
      mode: "lines",
      line: { width, color },
      hoverinfo: "skip",
    });
    data.push({
      x: column(part, 3),
      y: column(part, 0),
      mode: "markers",
      marker: { color: css("--ink"), size: 7 },
      hoverinfo: "text",
      hovertext: part.map(
        (r) =>
          `${esc(wrap(groups[r[0]].replaceAll(",", ", "), 50)).replaceAll("\n", "<br>")}<br>${digits(r[3])} [${digits(r[4])}, ${digits(r[5])}] over ${over}`,
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
      xaxis: axis(titles[quantity], { nticks: 5, range: [from - pad, to + pad] }),
      yaxis: axis("", {
        tickvals: range(groups.length),
        ticktext: apart(groups, narrow() ? 12 : 24).map(esc),
        range: [groups.length - 0.5, -0.5],
        ...BARE,
      }),
    }),
  };
});
