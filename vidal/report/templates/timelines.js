/* Timelines: what lies under the pointer in numbers; a click goes to the nearest selected frame. */
(function () {
  "use strict";
  var tip = document.getElementById("tip");

  function seconds(value) {
    if (value < 60) { return value.toFixed(2) + " s"; }
    var rest = value % 60;
    return Math.floor(value / 60) + ":" + (rest < 10 ? "0" : "") + rest.toFixed(1);
  }
  function many(number, one, more) { return number + " " + (number === 1 ? one : more); }

  function data(canvas) {
    if (canvas.told) { return canvas.told; }
    var errors = {};
    (canvas.dataset.errors || "").split(" ").forEach(function (each) {
      var parts = each.split(",");
      errors[parts[0]] = parts.slice(1).map(Number);
    });
    canvas.told = {
      duration: +canvas.dataset.duration, errors: errors,
      points: canvas.dataset.points.split(" ").map(function (each) {
        var parts = each.split(",");
        return { frame: +parts[0], time: +parts[1], score: parts[2] };
      }),
      labelled: Array.prototype.map.call(canvas.querySelectorAll(".labelled"), function (rect) {
        return [+rect.getAttribute("x") / 1000, (+rect.getAttribute("x") + +rect.getAttribute("width")) / 1000];
      }),
      picks: Array.prototype.slice.call(canvas.querySelectorAll(".pick"))
    };
    return canvas.told;
  }

  function nearest(canvas, x) {
    var told = data(canvas), time = x * told.duration, low = 0, high = told.points.length - 1;
    while (high - low > 1) {
      var middle = (low + high) >> 1;
      if (told.points[middle].time > time) { high = middle; } else { low = middle; }
    }
    return time - told.points[low].time < told.points[high].time - time ? told.points[low] : told.points[high];
  }
  function pickAt(canvas, x) {
    var best = null, gap = Infinity;
    data(canvas).picks.forEach(function (pick) {
      var away = Math.abs(parseFloat(pick.style.left) / 100 - x);
      if (away < gap) { gap = away; best = pick; }
    });
    return { pick: best, gap: gap };
  }

  function line(canvas) {
    if (!canvas.hair) { canvas.hair = document.createElement("i"); canvas.hair.className = "hair"; canvas.appendChild(canvas.hair); }
    return canvas.hair;
  }
  function hide(canvas) { tip.hidden = true; if (canvas.hair) { canvas.hair.hidden = true; } }

  function tell(canvas, x, left, top) {
    var told = data(canvas), near = pickAt(canvas, x), width = canvas.clientWidth;
    var pick = near.pick && near.gap * width < 9 ? near.pick : null;
    var point = nearest(canvas, pick ? parseFloat(pick.style.left) / 100 : x);
    var errors = told.errors[point.frame] || [0, 0, 0], share = point.time / told.duration, lines = [];
    lines.push(["b", "frame " + point.frame + ", " + seconds(point.time)]);
    if (point.score !== "" && point.score !== undefined) { lines.push(["span", "score " + point.score]); }
    if (canvas.querySelector(".errors")) {
      var alarms = document.querySelector(".key-line .up") ? many(errors[0], "likely false alarm", "likely false alarms") + ", " : "";
      lines.push(["span", alarms + errors[1] + " unsure, " + many(errors[2], "likely miss", "likely misses")]);
    }
    if (told.labelled.some(function (span) { return share >= span[0] && share < span[1]; })) { lines.push(["span", "labelled before"]); }
    if (pick) { lines.push(["strong", pick.title.split(":")[0] + (pick.hash ? ": click to open" : "")]); }
    tip.replaceChildren.apply(tip, lines.map(function (each) {
      var made = document.createElement(each[0]);
      made.textContent = each[1];
      return made;
    }));
    tip.hidden = false;
    var box = tip.getBoundingClientRect();
    tip.style.left = Math.min(Math.max(8, left + 14), window.innerWidth - box.width - 8) + "px";
    tip.style.top = (top - box.height - 14 < 8 ? top + 18 : top - box.height - 14) + "px";
    var hair = line(canvas);
    hair.hidden = false;
    hair.style.left = 100 * share + "%";
  }

  document.querySelectorAll(".canvas").forEach(function (canvas) {
    canvas.querySelectorAll(".pick").forEach(function (pick) { pick.setAttribute("aria-label", pick.title); });
    canvas.addEventListener("pointermove", function (event) {
      var box = canvas.getBoundingClientRect();
      tell(canvas, Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)), event.clientX, event.clientY);
    });
    canvas.addEventListener("pointerleave", function () {
      // A page that scrolls to a focused marker moves away from under the pointer.
      if (!canvas.contains(document.activeElement)) { hide(canvas); }
    });
    canvas.addEventListener("click", function (event) {
      if (event.target.closest("a")) { hide(canvas); return; }
      var box = canvas.getBoundingClientRect(), near = pickAt(canvas, (event.clientX - box.left) / box.width);
      var card = near.pick && near.pick.hash && vidal.wanted(near.pick.hash);
      hide(canvas);
      if (card) { vidal.open(card); }
    });
    canvas.addEventListener("focusin", function (event) {
      var pick = event.target.closest(".pick");
      if (!pick) { return; }
      var box = pick.getBoundingClientRect();
      tell(canvas, parseFloat(pick.style.left) / 100, box.left, box.top);
    });
    canvas.addEventListener("focusout", function () { hide(canvas); });
  });
}());
