/* Draws figures when they come near or a choice changes; wires switches, the slider and the table. */
const drawn = new Set();
const draw = (element) => {
  const { draw: make, part } = drawingOf(element);
  const from = dataOf(element.dataset.of);
  const { data, layout: chosen } = from.missing ? nothing(from.missing) : make(from, part);
  Plotly.react(element, data, chosen, {
    displayModeBar: false,
    responsive: true,
    scrollZoom: element.dataset.figure === "map" && state.space === "3",
  });
  drawn.add(element);
};
const set = (changes) => {
  Object.assign(state, changes);
  showState();
  for (const element of drawn)
    if (drawingOf(element).depends.some((key) => key in changes)) draw(element);
};
const drawAll = () => document.querySelectorAll("[data-figure]").forEach(draw);

/* ---- controls ---- */
const $$ = (selector) => [...document.querySelectorAll(selector)];
const showState = () => {
  // controls and notes follow the state
  document.documentElement.classList.toggle("safe", state.safe);
  $$("[data-set=distance]").forEach((select) => {
    select.value = state.distance;
  });
  const select = document.getElementById("layout"),
    layouts = state.distance && view().chromatic_map.layouts;
  if (select && layouts) {
    const options = Object.entries(layouts);
    const key = options.map(([name]) => name).join();
    if (select.dataset.options !== key) {
      select.replaceChildren(...options.map(([name, l]) => new Option(l.title, name)));
      select.dataset.options = key;
    }
    const flat = (name) => state.space === "3" && layouts[name].xyz.length < 3;
    if (!(state.layout in layouts) || flat(state.layout)) state.layout = "mds";
    [...select.options].forEach((option) => {
      option.disabled = flat(option.value);
    });
    select.value = state.layout;
    document.getElementById("map-note").textContent =
      layouts[state.layout].note +
      (state.space === "3" && (state.safe || D.several_configurations) ? " In 3-D ▲ is drawn as ✚, ▼ as ✖." : "");
  }
};
const wire = () => {
  $$("[data-set]").forEach((control) =>
    control.addEventListener("input", () => {
      const value = control.type === "checkbox" ? control.checked : control.value;
      set({ [control.dataset.set]: value });
    }),
  );
  const slider = document.getElementById("epoch");
  if (slider)
    slider.addEventListener("input", () => {
      const epoch = D.figures.trajectories.epochs[slider.value];
      document.getElementById("epoch-now").textContent = epoch;
      slider.setAttribute("aria-valuetext", `epoch ${epoch}`);
      set({ epoch: Number(slider.value) });
    });
  $$("table.sortable").forEach(sortable);
};
const sortable = (table) => {
  const body = table.tBodies[0],
    rows = [...body.rows],
    heads = [...table.tHead.rows[0].cells];
  const value = (row, k) => {
    const text = row.cells[k].dataset.value ?? row.cells[k].textContent.trim(),
      n = Number(text);
    return text !== "" && !Number.isNaN(n) ? n : text;
  };
  heads.forEach((head, k) =>
    head.querySelector("button")?.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const sorted = [...body.rows].sort((a, b) => {
        const [x, y] = [value(a, k), value(b, k)];
        const order =
          typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y));
        return up ? order : -order;
      });
      body.append(...sorted);
    }),
  );
  const input = document.getElementById(table.dataset.filter),
    count = document.getElementById(table.dataset.count);
  input?.addEventListener("input", () => {
    const parts = input.value.trim().toLowerCase().split(/\s+/);
    let shown = 0;
    rows.forEach((row) => {
      row.hidden = !parts.every((part) => row.textContent.toLowerCase().includes(part));
      shown += row.hidden ? 0 : 1;
    });
    count.textContent = `${shown} of ${rows.length} members`;
  });
};
wire();
showState();
/* Plotly is five megabytes: it runs once the page can be read. */
const begin = () => {
  const script = document.createElement("script");
  script.textContent = document.getElementById("plotly").textContent;
  document.head.append(script);
  const near = new IntersectionObserver(
    (entries) =>
      entries
        .filter((e) => e.isIntersecting)
        .forEach((e) => {
          near.unobserve(e.target);
          draw(e.target);
        }),
    { rootMargin: "300px" },
  );
  $$("[data-figure]").forEach((element) => near.observe(element));
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawn.forEach(draw));
  window.addEventListener("beforeprint", drawAll);
};
window.addEventListener("load", () => requestAnimationFrame(() => setTimeout(begin)));
