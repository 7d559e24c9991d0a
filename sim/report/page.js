// Draws the time-space picture of run: lanes from top to bottom, virtual time from left to right. Everything that comes
// from the run enters the page as text or as a number, never as markup.
"use strict";
{
  const box = document.getElementById("picture"), notice = document.getElementById("notice");
  const gutter = 90, axis = 24, faultRow = 18, laneRow = 46, mostMessages = 3000;
  const rows = stack(run.faults), top = axis + rows * faultRow + 8;
  const height = top + run.lanes.length * laneRow + 8;
  const svg = make("svg", { height, width: "100%" });
  box.append(svg);
  let from = run.from, to = run.to, width = 0;

  function make(tag, attributes, text) {
    const e = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const name in attributes) e.setAttribute(name, attributes[name]);
    if (text !== undefined) e.textContent = text;
    return e;
  }

  function add(tag, attributes, title) {
    const e = make(tag, attributes);
    if (title) e.append(make("title", {}, title));
    svg.append(e);
    return e;
  }

  // stack gives each fault the first row that is free and returns how many rows there are.
  function stack(faults) {
    const free = [];
    for (const f of faults) {
      let row = free.findIndex((until) => until <= f.at);
      if (row < 0) row = free.length;
      free[row] = Math.max(f.until, f.at + 1);
      f.row = row;
    }
    return free.length;
  }

  const x = (t) => gutter + (t - from) / (to - from) * (width - gutter);
  const clip = (t) => Math.min(Math.max(x(t), gutter), width);
  const y = (lane) => top + lane * laneRow + laneRow / 2;
  const seen = (a, b) => b >= from && a <= to;

  function time(ns) {
    if (ns === 0) return "0s";
    for (const [unit, name] of [[1e9, "s"], [1e6, "ms"], [1e3, "µs"]])
      if (Math.abs(ns) >= unit) return +(ns / unit).toFixed(6) + name;
    return ns + "ns";
  }

  function drawAxis() {
    const rough = (to - from) / Math.max(2, (width - gutter) / 110);
    const power = Math.pow(10, Math.floor(Math.log10(rough)));
    const step = Math.max(1, [1, 2, 5, 10].find((m) => m * power >= rough) * power);
    for (let t = Math.ceil(from / step) * step; t <= to; t += step) {
      add("line", { class: "tick", x1: x(t), x2: x(t), y1: axis - 6, y2: height });
      svg.append(make("text", { class: "tick", x: x(t) + 3, y: axis - 9 }, time(t)));
    }
  }

  function drawFaults() {
    for (const f of run.faults) {
      if (!seen(f.at, f.until)) continue;
      const left = clip(f.at), wide = Math.max(clip(f.until) - left, 3);
      const title = `${f.what}\n${time(f.at)}..${time(f.until)}\n${f.effects}\n${f.path}`;
      for (const lane of f.lanes)
        add("rect", { class: "shade", x: left, y: y(lane) - laneRow / 2, width: wide, height: laneRow }, title);
      const at = axis + f.row * faultRow;
      add("rect", { class: f.bit ? "fault" : "fault idle", x: left, y: at, width: wide, height: faultRow - 3 }, title);
      if (wide > 40) svg.append(make("text", { x: left + 4, y: at + 12 }, fit(f.what, wide - 6)));
    }
  }

  const fit = (text, wide) => text.length * 7.3 <= wide ? text : text.slice(0, Math.max(0, Math.floor(wide / 7.3) - 1)) + "…";

  function drawLanes() {
    run.lanes.forEach((lane, i) => add("line", { class: "lane", x1: gutter, x2: width, y1: y(i), y2: y(i) }));
    for (const d of run.downs)
      if (seen(d.at, d.until))
        add("rect", { class: "down", x: clip(d.at), y: y(d.lane) - 8, width: Math.max(clip(d.until) - clip(d.at), 3), height: 16 },
          `${run.lanes[d.lane].name} is down ${time(d.at)}..${time(d.until)}`);
  }

  function drawMessages() {
    let drawn = 0, hidden = 0;
    for (const [a, b, sent, arrived, lost] of run.messages) {
      if (!seen(sent, arrived)) continue;
      if (drawn++ >= mostMessages) { hidden++; continue; }
      const x1 = x(sent), x2 = lost ? (x(sent) + x(arrived)) / 2 : x(arrived), y1 = y(a);
      const y2 = lost ? y(a) + (y(b) - y(a)) * 0.5 : y(b);
      const title = `${run.lanes[a].name} to ${run.lanes[b].name}\n${time(sent)}..${time(arrived)}${lost ? ", lost" : ""}`;
      add("line", { class: lost ? "message lost" : "message", x1, y1, x2, y2 }, title);
      if (lost) add("path", { class: "cross", d: `M${x2 - 3},${y2 - 3}l6,6m0,-6l-6,6` });
      else add("path", { class: "tip", d: arrow(x1, y1, x2, y2) });
    }
    notice.textContent = hidden ? `${hidden} more messages in this stretch of time: zoom in to see them. ${run.notice}` : run.notice;
  }

  function arrow(x1, y1, x2, y2) {
    const length = Math.hypot(x2 - x1, y2 - y1) || 1, dx = (x2 - x1) / length, dy = (y2 - y1) / length;
    return `M${x2},${y2}L${x2 - 6 * dx - 2.5 * dy},${y2 - 6 * dy + 2.5 * dx}L${x2 - 6 * dx + 2.5 * dy},${y2 - 6 * dy - 2.5 * dx}z`;
  }

  function drawOps() {
    for (const op of run.ops) {
      const end = op.until < 0 ? run.end : op.until;
      if (!seen(op.at, end)) continue;
      const left = clip(op.at), wide = Math.max(clip(end) - left, 2), at = y(op.lane) - 9 + op.row * 7;
      add("rect", { class: "op " + op.outcome, x: left, y: at, width: wide, height: 18 },
        `${op.what}\n${time(op.at)}..${op.until < 0 ? "" : time(op.until)}`);
      if (wide > 40) svg.append(make("text", { class: "optext", x: left + 4, y: at + 13 }, fit(op.what, wide - 6)));
    }
  }

  function drawMarks() {
    for (const m of run.marks) {
      if (!seen(m.at, m.at)) continue;
      add("line", { class: "mark", x1: x(m.at), x2: x(m.at), y1: axis - 6, y2: height }, m.what);
      svg.append(make("text", { class: "mark", x: Math.min(x(m.at) + 4, width - 120), y: height - 4 }, m.what));
    }
  }

  function drawNames() {
    add("rect", { class: "gutter", x: 0, y: 0, width: gutter, height });
    run.lanes.forEach((lane, i) => svg.append(make("text", { x: 8, y: y(i) + 4 }, fit(lane.name, gutter - 12))));
    if (rows) svg.append(make("text", { class: "tick", x: 8, y: axis + 12 }, "faults"));
  }

  function draw() {
    width = box.clientWidth;
    svg.replaceChildren();
    for (const part of [drawAxis, drawFaults, drawLanes, drawMessages, drawOps, drawMarks, drawNames]) part();
  }

  function show(a, b) {
    const least = 1000, most = Math.max(run.end, least) * 1.1;
    const span = Math.min(Math.max(b - a, least), most);
    from = Math.min(Math.max(a, -0.05 * most), Math.max(most - span, 0));
    to = from + span;
    draw();
  }

  function zoom(factor, at) { show(at - (at - from) * factor, at + (to - at) * factor); }

  const moment = (e) => from + (e.clientX - box.getBoundingClientRect().left - gutter) / (width - gutter) * (to - from);
  let grip = null;
  svg.addEventListener("wheel", (e) => { e.preventDefault(); zoom(Math.pow(1.0015, e.deltaY), moment(e)); }, { passive: false });
  svg.addEventListener("pointerdown", (e) => { grip = moment(e); svg.setPointerCapture(e.pointerId); });
  svg.addEventListener("pointerup", () => { grip = null; });
  svg.addEventListener("pointermove", (e) => { if (grip !== null) { const d = grip - moment(e); show(from + d, to + d); } });
  document.getElementById("near").onclick = () => show(run.from, run.to);
  document.getElementById("all").onclick = () => show(0, run.end);
  document.getElementById("in").onclick = () => zoom(0.5, (from + to) / 2);
  document.getElementById("out").onclick = () => zoom(2, (from + to) / 2);
  window.addEventListener("resize", draw);
  draw();
}
