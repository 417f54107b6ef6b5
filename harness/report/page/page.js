"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const drawn = [];
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const narrow = () => window.innerWidth < 640;

  const bands = (run, labels) => {
    const shapes = [], annotations = [];
    const band = ({ begin_s: x0, end_s: x1 }) => {
      const shape = { xref: "x", yref: "paper", y0: 0, y1: 1, x0, x1, layer: "below" };
      const single = x1 - x0 < 0.02 * run.duration_s / 10;
      shapes.push(single
        ? { ...shape, type: "line", x1: x0, line: { color: css("--fail"), width: 1, dash: "dot" } }
        : { ...shape, type: "rect", fillcolor: css("--fault"), line: { width: 0 } });
    };
    run.faults.forEach((fault) => {
      band(fault);
      if (labels && run.faults.length <= 12) {
        annotations.push({ x: fault.begin_s, y: 1, xref: "x", yref: "paper", text: fault.id, showarrow: false,
          xanchor: "left", yanchor: "bottom", font: { size: 10, color: css("--fail") } });
      }
    });
    run.phases.forEach((phase) => {
      const share = (phase.end_s - phase.begin_s) / run.duration_s;
      if (share < (narrow() ? 0.15 : 0.04)) return;
      annotations.push({ x: (phase.begin_s + phase.end_s) / 2, y: 0, xref: "x", yref: "paper",
        text: phase.name.replaceAll("_", " "), showarrow: false, yanchor: "bottom",
        bgcolor: css("--bg"), opacity: 0.85, borderpad: 1,
        font: { size: 10, color: css("--dim") } });
    });
    return { shapes, annotations };
  };

  const layout = (title, more) => ({
    title: { text: title, font: { size: 14, color: css("--fg") }, x: 0, xanchor: "left", y: 0.98 },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: css("--fg"), size: 11, family: "system-ui, sans-serif" },
    margin: { l: 52, r: 8, t: 44, b: narrow() ? 76 : 34 }, hovermode: "x unified",
    hoverlabel: { bgcolor: css("--card"), font: { color: css("--fg") } },
    // On a phone a legend has several lines: below the chart they cover nothing.
    legend: narrow()
      ? { orientation: "h", x: 0, y: -0.16, yanchor: "top", font: { size: 10 } }
      : { orientation: "h", x: 1, xanchor: "right", y: 1.02, yanchor: "bottom",
        font: { size: 10 } },
    dragmode: narrow() ? false : "zoom",
    ...more,
  });
  const axis = (more) => ({ gridcolor: css("--line"), zerolinecolor: css("--line"),
    linecolor: css("--line"), automargin: true, ...more });
  const config = { responsive: true, displayModeBar: false };

  const over = (div, run, title, traces, yaxis) => {
    const alone = traces.length < 2;
    if (alone) div.classList.add("alone");
    Plotly.react(div, traces, layout(title, { ...bands(run, true),
      ...(alone ? { margin: { l: 52, r: 8, t: 44, b: 34 } } : {}),
      xaxis: axis({ range: [0, run.duration_s], ticksuffix: " s" }), yaxis: axis(yaxis) }), config);
  };
  const line = (x, y, name, color, more) => ({ x, y, name, type: "scatter", mode: "lines",
    line: { color: css(color), width: 1.6, ...(more || {}) } });

  const charts = {
    throughput(div, run) {
      const { t, series: s } = run;
      over(div, run, "Messages per second", [
        line(t, s.offered_per_s, "offered", "--dim", { dash: "dot" }),
        line(t, s.acknowledged_per_s, "acknowledged", "--a"),
        line(t, s.delivered_per_s, "delivered", "--b"),
        // The audit reads everything once more, as fast as it can: shown when asked for.
        { ...line(t, s.again_per_s, "delivered again", "--d", { dash: "dash" }),
          visible: "legendonly" },
      ], { rangemode: "tozero" });
    },
    latency(div, run) {
      const { t, series: s } = run;
      const dots = (trace) => ({ ...trace, mode: "lines+markers",
        marker: { size: 3, color: trace.line.color } });
      over(div, run, "Latency", [
        dots(line(t, s.ack.p50, "ack p50", "--a", { dash: "dot" })),
        dots(line(t, s.ack.p99, "ack p99", "--a")),
        dots(line(t, s.delivery.p50, "delivery p50", "--c", { dash: "dot" })),
        dots(line(t, s.delivery.p99, "delivery p99", "--c")),
      ], { type: "log", ticksuffix: " ms", dtick: 1 });
    },
    in_flight(div, run) {
      over(div, run, "Messages in flight", [
        { ...line(run.t, run.series.in_flight, "in flight", "--a"), fill: "tozeroy" },
      ], { rangemode: "tozero" });
    },
    node_cpu(div, run) {
      over(div, run, "CPU of each node, of one core", run.series.processes.map((p) =>
        ({ x: p.t_s, y: p.cpu_percent, name: p.name, type: "scatter", mode: "lines" })),
        { rangemode: "tozero", ticksuffix: " %" });
    },
    node_memory(div, run) {
      over(div, run, "Resident memory of each node", run.series.processes.map((p) =>
        ({ x: p.t_s, y: p.rss_mb, name: p.name, type: "scatter", mode: "lines" })),
        { rangemode: "tozero", ticksuffix: " MB" });
    },
    processes(div, run) {
      const names = run.processes.map((p) => p.name);
      const bars = (x, name, color, more) => ({ type: "bar", orientation: "h", y: names, x, name,
        marker: { color: css(color) }, ...more });
      div.style.height = `${90 + 22 * names.length}px`;
      Plotly.react(div, [
        bars(run.processes.map((p) => p.cpu_s), "CPU s", "--a", {}),
        bars(run.processes.map((p) => p.rss_mb), "largest memory, MB", "--c", { xaxis: "x2" }),
      ], layout("CPU and memory of each process", { showlegend: false, hovermode: "closest",
        grid: { rows: 1, columns: 2 }, barmode: "group",
        xaxis: axis({ domain: [0, 0.48], title: { text: "CPU s" } }),
        xaxis2: axis({ domain: [0.52, 1], title: { text: "memory MB" } }),
        yaxis: axis({ autorange: "reversed" }), margin: { l: 52, r: 8, t: 34, b: 40 } }), config);
    },
    bucket(div, run) {
      const bucket = run.buckets[Number(div.dataset.index)];
      const expected = bucket.messages / bucket.bucket_count;
      Plotly.react(div, [{ type: "bar", y: bucket.loads, name: "messages",
        marker: { color: css("--a") } }],
      layout("", { hovermode: "closest", showlegend: false,
        xaxis: axis({ title: { text: "bucket" } }), yaxis: axis({ rangemode: "tozero" }),
        margin: { l: 52, r: 8, t: 8, b: 40 },
        shapes: [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: expected, y1: expected,
          line: { color: css("--dim"), width: 1, dash: "dash" } }] }), config);
    },
  };

  const draw = (div) => charts[div.dataset.chart](div, data.runs[Number(div.dataset.run)]);
  const seen = new IntersectionObserver((entries) => {
    entries.filter((entry) => entry.isIntersecting).forEach(({ target }) => {
      seen.unobserve(target);
      drawn.push(target);
      draw(target);
    });
  }, { rootMargin: "400px" });
  document.querySelectorAll(".chart").forEach((div) => seen.observe(div));
  const redraw = () => drawn.forEach(draw);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  window.addEventListener("beforeprint", () => document.querySelectorAll("details")
    .forEach((one) => { one.open = true; }));
})();
