/* How the dimension grows with members and with probe images. */
const OVER = { members: "members", images: "probe images" };
drawing("dimension", ["distance"], (all, part) => {
  const [quantity, over] = part.split("-"),
    rows = all.filter((row) => row[0] === over && row[2] === quantity),
    hex = css("--c1");
  if (!rows.length) return nothing("too few members");
  const x = column(rows, 1),
    most = quantity === "participation_ratio" && over === "members",
    bound = quantity === "top_2_share" && over === "members";
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
const ticksOf = (x) => x.filter((_, k) => x.length < 6 || k % 2 === (x.length - 1) % 2);
