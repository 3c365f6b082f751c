/* Labels of boxes: placed greedily, so that none covers another; those without room are counted. */
var vidal = {};
(function () {
  "use strict";
  var drawing = document.createElement("div");
  drawing.innerHTML = "<svg></svg>";
  var SVG = drawing.firstChild.namespaceURI;
  var pen = document.createElement("canvas").getContext("2d");
  var styles = JSON.parse(document.body.dataset.styles);
  var classes = JSON.parse(document.body.dataset.classes);
  var PLAIN = { detection: true, correct: true };

  vidal.styles = styles;
  vidal.make = function (name, attributes, text) {
    var element = document.createElementNS(SVG, name);
    Object.keys(attributes || {}).forEach(function (key) { element.setAttribute(key, attributes[key]); });
    if (text) { element.textContent = text; }
    return element;
  };
  vidal.named = function (label) { return label < 0 ? document.body.dataset.unknown : classes[label]; };

  /* What a mark says: row, class, score and certainty in percent. */
  vidal.read = function (mark) {
    var parts = mark.dataset.m.split(",");
    var key = mark.classList[1];
    var style = styles[key] || { words: key, sign: "" };
    var name = vidal.named(+parts[1]);
    var score = parts[2] === "" ? "" : (parts[2] / 100).toFixed(2);
    var sure = parts[3] === "" ? "" : (parts[3] / 100).toFixed(2);
    return {
      row: +parts[0], label: +parts[1], key: key, name: name, score: score, sure: sure,
      short: (style.sign ? style.sign + " " : "") + name + (score ? " " + score : ""),
      words: style.words,
      detail: style.words + (+parts[1] < 0 ? "" : ": " + name) + (score ? ", score " + score : "") +
        (sure ? "; certainty of this verdict " + sure : "")
    };
  };

  function corners(mark) {
    var numbers = mark.lastElementChild.getAttribute("d").match(/-?[\d.]+/g).map(Number);
    return { x: numbers[0], y: numbers[1], w: numbers[2] - numbers[0], h: numbers[3] - numbers[1] };
  }
  vidal.corners = corners;

  /* A dark line below each box, so that it shows on any ground, and its detail for the pointer. */
  vidal.dress = function (svg) {
    if (svg.dataset.dressed) { return; }
    svg.dataset.dressed = "1";
    svg.querySelectorAll(".mark").forEach(function (mark) {
      var box = mark.lastElementChild;
      var halo = box.cloneNode();
      halo.setAttribute("class", "halo");
      mark.insertBefore(halo, box);
      mark.insertBefore(vidal.make("title", {}, vidal.read(mark).detail), halo);
    });
  };

  function overlap(a, b) {
    return Math.max(0, Math.min(a.x + a.w, b.x + b.w) - Math.max(a.x, b.x)) *
      Math.max(0, Math.min(a.y + a.h, b.y + b.h) - Math.max(a.y, b.y));
  }

  function spots(box, w, h) {
    var right = box.x + box.w, bottom = box.y + box.h, list = [
      [box.x, box.y - h], [right - w, box.y - h], [box.x, bottom], [right - w, bottom],
      [right, box.y], [box.x - w, box.y], [right, bottom - h], [box.x - w, bottom - h],
      [box.x, box.y], [right - w, bottom - h]
    ];
    [1.3, 2.6, 4, 5.5].forEach(function (far) {
      var d = far * h, middle = box.x + box.w / 2 - w / 2, half = box.y + box.h / 2 - h / 2;
      [[middle, box.y - h - d], [middle, bottom + d], [right + d, half], [box.x - w - d, half],
        [right + d, box.y - h - d], [box.x - w - d, box.y - h - d],
        [right + d, bottom + d], [box.x - w - d, bottom + d]].forEach(function (spot) {
        list.push([spot[0], spot[1], true]);
      });
    });
    return list;
  }

  /* The spot with the least of other boxes under it; null where every one is taken. */
  function spot(item, placed, boxes, frame) {
    var best = null;
    spots(item.box, item.w, item.h).some(function (at, order) {
      var rect = {
        x: Math.min(Math.max(at[0], 0), frame.w - item.w), y: Math.min(Math.max(at[1], 0), frame.h - item.h),
        w: item.w, h: item.h, led: Boolean(at[2])
      };
      if (item.w > frame.w || Math.abs(rect.x - at[0]) > item.w * 0.7 || Math.abs(rect.y - at[1]) > item.h * 1.1) { return false; }
      if (placed.some(function (other) { return overlap(rect, other) > 0; })) { return false; }
      var cost = order * 0.02;
      boxes.forEach(function (box) { if (box !== item.box) { cost += overlap(rect, box) / (item.w * item.h); } });
      if (rect.led) { cost += 0.4 + order * 0.02; }
      if (!best || cost < best.cost) { rect.cost = cost; best = rect; }
      return cost < 0.02;
    });
    return best;
  }

  function attempt(items, boxes, frame, reserved) {
    var placed = reserved ? [reserved] : [], left = 0;
    items.forEach(function (item) {
      item.spot = spot(item, placed, boxes, frame);
      if (item.spot) { placed.push(item.spot); } else { left += 1; }
    });
    return left;
  }

  /* Write the labels of the marks that are shown, `pixels` high on the screen.
     Where there is not room for all, a note in the corner counts the others. */
  vidal.place = function (svg, pixels, all, most, corner) {
    vidal.dress(svg);
    var old = svg.querySelector(".tags");
    if (old) { old.remove(); }
    var view = svg.viewBox.baseVal, across = svg.getBoundingClientRect().width;
    if (!across || !view.width) { return 0; }
    var unit = view.width / across, size = pixels * unit, pad = 3 * unit, frame = { w: view.width, h: view.height };
    pen.font = "600 " + pixels + "px system-ui, Arial, sans-serif";
    var marks = Array.prototype.filter.call(svg.querySelectorAll(".mark"), function (mark) {
      return getComputedStyle(mark).display !== "none" && (all || !PLAIN[mark.classList[1]]);
    });
    var items = marks.map(function (mark) {
      var told = vidal.read(mark);
      var w = pen.measureText(told.short).width * unit * 1.04 + 2 * pad;
      return { mark: mark, told: told, box: corners(mark), w: w, h: size * 1.32 };
    });
    // The verdicts that say most come last in the file, and first here; of a kind the largest box.
    items.sort(function (a, b) {
      return (PLAIN[a.told.key] ? 1 : 0) - (PLAIN[b.told.key] ? 1 : 0) || b.box.w * b.box.h - a.box.w * a.box.h;
    });
    var boxes = items.map(function (item) { return item.box; });
    var beyond = Math.max(0, items.length - most);
    items = items.slice(0, most);
    var reserved = corner ? { x: 0, y: 0, w: corner[0] * unit, h: corner[1] * unit } : null;
    var hidden = attempt(items, boxes, frame, reserved) + beyond;
    var tags = vidal.make("g", { "class": "tags" });
    tags.style.setProperty("--text", size + "px");
    items.forEach(function (item) {
      var at = item.spot;
      if (!at) { return; }
      var tag = vidal.make("g", { "class": "tag " + item.told.key, "data-row": item.told.row });
      if (at.led) {
        var x = Math.min(Math.max(at.x + at.w / 2, item.box.x), item.box.x + item.box.w);
        var y = Math.min(Math.max(at.y + at.h / 2, item.box.y), item.box.y + item.box.h);
        tags.insertBefore(vidal.make("path", { "class": "leader tag " + item.told.key, "data-row": item.told.row, d: "M" + (at.x + at.w / 2) + " " + (at.y + at.h / 2) + "L" + x + " " + y }), tags.firstChild);
      }
      tag.appendChild(vidal.make("rect", { "class": "plate", x: at.x, y: at.y, width: at.w, height: at.h, rx: 2.5 * unit }));
      tag.appendChild(vidal.make("text", { x: at.x + pad, y: at.y + item.h * 0.745 }, item.told.short));
      tags.appendChild(tag);
    });
    svg.appendChild(tags);
    return hidden;
  };
}());
