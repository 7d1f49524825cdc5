/* Where members lie. */
drawing("map", ["distance", "layout", "space", "ellipses", "safe"], ({ layouts, ellipses }) => {
  const chosen = layouts[state.layout];
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
  const shapes = state.layout === "mds" && state.ellipses ? ellipses.map(ellipse) : [];
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
