// What a flame graph does in a browser: zoom, search, tooltips. It lays the boxes out anew for the width of the window
// at each resize and click: a pass over all boxes, 10 000 of them in a row at most.
(function () {
  "use strict";
  var SIDE = 20, HTML = "http://www.w3.org/1999/xhtml";
  var svg = document.documentElement, group = document.getElementById("frames");
  var frames = Array.prototype.map.call(group.querySelectorAll("g"), function (g) {
    var title = g.querySelector("title"), lines = title.textContent.split("\n");
    title.remove();
    return { g: g, rect: g.querySelector("rect"), text: g.querySelector("text"), name: lines[0], place: lines[1],
             start: +g.dataset.s, count: +g.dataset.n, depth: +g.dataset.d };
  });
  if (frames.length === 0) return;
  var frameOf = new Map(frames.map(function (frame) { return [frame.g, frame]; }));
  var all = frames[0], root = all, pattern = null, letter = 6.6;

  function element(name, parent, attributes) {
    var made = document.createElementNS(HTML, name);
    for (var key in attributes) made.setAttribute(key, attributes[key]);
    parent.appendChild(made);
    return made;
  }
  function foreign(id, width, height) {
    var made = document.createElementNS(svg.namespaceURI, "foreignObject");
    made.setAttribute("id", id);
    made.setAttribute("width", width);
    made.setAttribute("height", height);
    svg.appendChild(made);
    return made;
  }
  function share(part, whole) {
    if (part === whole) return "100 %";
    var value = 100 * part / whole;
    return (value >= 1 ? value.toFixed(1) : String(+value.toPrecision(2))) + " %";
  }
  function grouped(number) { return String(number).replace(/\B(?=(\d{3})+$)/g, "\u202f"); }

  var top = foreign("top", 620, 40);
  var bar = element("div", top, { "class": "bar" });
  var found = element("span", bar, { id: "share" });
  var back = element("button", bar, { id: "reset", "class": "hidden", title: "Escape" });
  back.textContent = "Show all";
  var input = element("input", bar, { id: "find", type: "text", placeholder: "Search: text or pattern ( / )",
                                      spellcheck: "false", "aria-label": "Search" });
  var tip = foreign("tip", 1, 1), card = element("div", tip, { "class": "tip" });
  tip.setAttribute("class", "hidden");

  function place(frame, x, width) {
    var y = +frame.rect.getAttribute("y");
    frame.rect.setAttribute("x", x.toFixed(2));
    frame.rect.setAttribute("width", Math.max(width - 0.6, 0.2).toFixed(2));
    var fit = Math.floor((width - 8) / letter), name = frame.name;
    if (fit < name.length) name = fit < 3 ? "" : name.slice(0, fit - 1) + "\u2026";
    if (name !== "" && !frame.text) {
      frame.text = document.createElementNS(svg.namespaceURI, "text");
      frame.text.setAttribute("y", y + 13);
      frame.g.appendChild(frame.text);
    }
    if (!frame.text) return;
    frame.text.textContent = name;
    frame.text.setAttribute("x", (x + 4).toFixed(2));
  }

  function draw() {
    var width = svg.getBoundingClientRect().width, scale = (width - 2 * SIDE) / root.count;
    top.setAttribute("x", width - 620 - SIDE);
    top.setAttribute("y", 18);
    frames.forEach(function (frame) {
      var end = frame.start + frame.count, rootEnd = root.start + root.count;
      var above = frame.depth < root.depth && frame.start <= root.start && end >= rootEnd;
      var within = frame.depth >= root.depth && frame.start >= root.start && end <= rootEnd;
      var shown = above || within && frame.count * scale >= 0.2;
      frame.g.classList.toggle("hidden", !shown);
      frame.g.classList.toggle("above", above);
      if (above) place(frame, SIDE, width - 2 * SIDE);
      else if (shown) place(frame, SIDE + (frame.start - root.start) * scale, frame.count * scale);
    });
    back.classList.toggle("hidden", root === all);
  }

  function zoom(frame) {
    root = frame;
    draw();
    search();
  }

  // A match within a match counts once.
  function search() {
    var sum = 0, until = -1, text = input.value;
    pattern = null;
    if (text !== "") {
      try { pattern = new RegExp(text, "i"); } catch (e) {
        pattern = new RegExp(text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), "i");
      }
    }
    frames.forEach(function (frame) {
      var hit = pattern !== null && frame !== all && pattern.test(frame.name);
      frame.g.classList.toggle("found", hit);
      var begin = Math.max(frame.start, root.start), end = Math.min(frame.start + frame.count, root.start + root.count);
      if (!hit || begin >= end) return;
      begin = Math.max(begin, until);
      if (begin < end) { sum += end - begin; until = end; }
    });
    group.classList.toggle("searched", pattern !== null);
    input.classList.toggle("wrong", pattern !== null && sum === 0);
    found.textContent = pattern === null ? "" : share(sum, root.count) + (root === all ? " match" : " of this match");
  }

  function find(target) {
    var g = target.closest ? target.closest("#frames g") : null;
    return g === null ? null : frameOf.get(g);
  }

  function show(frame, event) {
    card.textContent = "";
    element("b", card, {}).textContent = frame.name;
    if (frame.place !== "") element("i", card, {}).textContent = frame.place;
    var text = grouped(frame.count) + ", " + share(frame.count, all.count);
    if (root !== all && frame.depth >= root.depth)
      text += " (" + share(frame.count, root.count) + " of " + root.name + ")";
    element("span", card, {}).textContent = text;
    tip.removeAttribute("class");
    var box = card.getBoundingClientRect(), edge = document.documentElement.clientWidth;
    var x = event.clientX + 14, y = event.clientY + 16;
    if (x + box.width > edge - 8) x = Math.max(8, edge - 8 - box.width);
    if (y + box.height > window.innerHeight - 8) y = event.clientY - 12 - box.height;
    var corner = svg.getBoundingClientRect();
    tip.setAttribute("x", x - corner.left);
    tip.setAttribute("y", y - corner.top);
  }

  group.addEventListener("click", function (event) {
    var frame = find(event.target);
    if (frame) zoom(frame === root ? all : frame);
  });
  group.addEventListener("mousemove", function (event) {
    var frame = find(event.target);
    if (frame) show(frame, event); else tip.setAttribute("class", "hidden");
  });
  group.addEventListener("mouseleave", function () { tip.setAttribute("class", "hidden"); });
  back.addEventListener("click", function () { zoom(all); });
  input.addEventListener("input", search);
  window.addEventListener("resize", draw);
  window.addEventListener("keydown", function (event) {
    if (event.key === "Escape") {
      if (input.value !== "") { input.value = ""; search(); } else zoom(all);
      input.blur();
    } else if (document.activeElement !== input &&
               (event.key === "/" || (event.key === "f" && (event.ctrlKey || event.metaKey)))) {
      event.preventDefault();
      input.focus();
    }
  });

  svg.setAttribute("width", "100%");
  svg.removeAttribute("viewBox");
  var probe = document.createElementNS(svg.namespaceURI, "text");
  probe.textContent = "mmmmmmmmmmmmmmmmmmmm";
  all.g.appendChild(probe);
  letter = probe.getComputedTextLength() / 20 || letter;
  probe.remove();
  draw();
}());
