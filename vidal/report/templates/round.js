/* Cards: filters, order, the large picture with its neighbours, keys and addresses. */
(function () {
  "use strict";
  var grid = document.getElementById("grid");
  var cards = Array.prototype.slice.call(grid.children);
  var large = document.getElementById("large"), help = document.getElementById("help");
  var stage = document.getElementById("stage"), strip = document.getElementById("strip"), panel = document.getElementById("panel");
  var count = document.getElementById("count"), reset = document.getElementById("reset"), nothing = document.getElementById("nothing");
  var sort = document.getElementById("sort");
  var filters = { clip: "by-clip", "class": "by-class", kind: "by-kind" };
  var now = null, seat = 0, seen = new Set();
  Object.keys(filters).forEach(function (name) { filters[name] = document.getElementById(filters[name]); });

  function value(name) { return filters[name] ? filters[name].value : ""; }
  function visible() { return cards.filter(function (card) { return !card.hidden; }); }
  function element(name, className, text) {
    var made = document.createElement(name);
    if (className) { made.className = className; }
    if (text !== undefined) { made.textContent = text; }
    return made;
  }

  // -- labels of the small pictures, when they come into view -----------------------------------

  function label(card) {
    var svg = card.querySelector("svg");
    if (svg && svg.firstChild) { vidal.place(svg, 11, false, 6, [34, 26]); }
  }
  var watcher = new IntersectionObserver(function (entries) {
    entries.forEach(function (entry) {
      if (entry.isIntersecting) { seen.add(entry.target); label(entry.target); } else { seen.delete(entry.target); }
    });
  }, { rootMargin: "300px" });
  cards.forEach(function (card) { watcher.observe(card); });
  var waiting = 0;
  function again() {
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(function () { seen.forEach(label); if (now) { tags(); } });
  }
  window.addEventListener("resize", again);
  window.addEventListener("beforeprint", function () { cards.forEach(label); });

  // -- filters and order --------------------------------------------------------------------------

  function filter() {
    var clip = value("clip"), name = value("class"), kind = value("kind");
    cards.forEach(function (card) {
      var data = card.dataset;
      card.hidden = !((!clip || data.clip === clip) && (!name || data.labels.indexOf(" " + name + " ") >= 0) &&
        (!kind || data.kinds.indexOf(" " + kind + " ") >= 0));
    });
    var left = visible().length;
    count.textContent = left === cards.length ? "" : left + " of " + cards.length + " shown";
    reset.hidden = left === cards.length;
    nothing.hidden = left > 0 || !cards.length;
  }
  function showAll() {
    Object.keys(filters).forEach(function (name) { if (filters[name]) { filters[name].value = ""; } });
    filter();
  }
  function number(text) { return text === "" ? -Infinity : +text; }
  var orders = {
    rank: function () { return 0; },
    score: function (a, b) { return (number(b.score) > number(a.score)) - (number(b.score) < number(a.score)); },
    clip: function (a, b) { return a.clip < b.clip ? -1 : a.clip > b.clip ? 1 : a.index - b.index; },
    "class": function (a, b) {
      var one = a["class"] === "" ? "\uffff" : vidal.named(+a["class"]), two = b["class"] === "" ? "\uffff" : vidal.named(+b["class"]);
      return one < two ? -1 : one > two ? 1 : 0;
    }
  };
  function order() {
    cards.sort(function (a, b) { return orders[sort.value](a.dataset, b.dataset) || a.dataset.rank - b.dataset.rank; });
    grid.append.apply(grid, cards);
  }
  Object.keys(filters).forEach(function (name) { if (filters[name]) { filters[name].addEventListener("change", filter); } });
  sort.addEventListener("change", order);
  reset.addEventListener("click", showAll);
  nothing.querySelector("button").addEventListener("click", showAll);

  var kinds = Array.prototype.slice.call(document.querySelectorAll("input[data-kind]"));
  kinds.forEach(function (box) {
    box.addEventListener("change", function () {
      document.body.classList.toggle("no-" + box.dataset.kind, !box.checked);
      again();
    });
  });

  // -- files beside the page ------------------------------------------------------------------------

  function probe(href, good) {
    var image = new Image();
    image.onload = function () { good(href); };
    image.src = href;
  }
  var first = grid.querySelector("a.full");
  if (location.protocol === "file:" && first) {
    probe(first.getAttribute("href"), function () { document.body.classList.add("is-beside"); });
  } else if (!first) { document.body.classList.add("is-beside"); }

  // -- the large picture -----------------------------------------------------------------------------

  function picture(data) { return "data:image/webp;base64," + data; }
  function neighbours(card) {
    if (!card.near) { card.near = card.dataset.near ? JSON.parse(card.dataset.near) : []; }
    return card.near;
  }
  function marks(card) { return Array.prototype.map.call(card.querySelectorAll(".mark"), vidal.read); }

  function tags() {
    var svg = stage.querySelector("svg");
    if (!svg) { return; }
    var labels = large.classList.contains("no-labels") ? 0 : 200;
    var hidden = vidal.place(svg, window.innerWidth < 760 ? 10.5 : 12.5, true, labels);
    var more = stage.querySelector(".hidden-labels");
    more.textContent = hidden && labels ? hidden + (hidden === 1 ? " label has" : " labels have") + " no room; see the list" : "";
  }

  /* The neighbour's boxes as marks: those linked to a mark of the frame in its style. */
  function boxes(near, card) {
    var shot = card.querySelector("svg").cloneNode(false), byRow = {};
    shot.removeAttribute("data-dressed");
    marks(card).forEach(function (mark) { byRow[mark.row] = mark; });
    near.boxes.forEach(function (box) {
      var told = byRow[Math.max.apply(null, box[4])], key = told ? told.key : "other";
      var mark = vidal.make("g", { "class": "mark " + key + (told ? " linked" : ""), "data-m": (told ? told.row : -1) + "," + box[5] + ",,", "data-rows": box[4].join(" ") });
      mark.appendChild(vidal.make("path", { d: "M" + box[0] + " " + box[1] + "H" + (box[0] + box[2]) + "V" + (box[1] + box[3]) + "H" + box[0] + "z" }));
      shot.appendChild(mark);
    });
    return shot;
  }

  function show() {
    var card = now, near = seat ? neighbours(card).find(function (each) { return each.index === +card.dataset.index + seat; }) : null;
    var frame = element("div", "shot"), image = element("img"), small = card.querySelector("img");
    var style = card.querySelector(".picture").style.aspectRatio.split("/");
    frame.style.setProperty("--ratio", style[0] / style[1]);
    frame.style.aspectRatio = style.join("/");
    image.alt = "";
    if (near) { image.src = picture(near.picture); } else if (card.dataset.sharp) { image.src = picture(card.dataset.sharp); } else if (small) { image.src = small.src; }
    if (near || small || card.querySelector("a.full")) { frame.appendChild(image); }
    var full = card.querySelector("a.full");
    if (!near && full && document.body.classList.contains("is-beside")) {
      probe(full.getAttribute("href"), function (href) { if (now === card && !seat) { image.src = href; } });
    }
    var svg;
    if (near) { svg = boxes(near, card); } else {
      svg = card.querySelector("svg").cloneNode(true);
      svg.querySelectorAll(".tags").forEach(function (old) { old.remove(); });
    }
    frame.appendChild(svg);
    frame.style.setProperty("--pixels", svg.viewBox.baseVal.width + "px");
    frame.appendChild(element("span", "hidden-labels"));
    stage.replaceChildren(frame);
    if (seat) { frame.appendChild(element("span", "when", Math.abs(seat) + (Math.abs(seat) === 1 ? " frame " : " frames ") + (seat < 0 ? "before" : "after"))); }
    tags();
    Array.prototype.forEach.call(strip.children, function (button) {
      var here = +button.dataset.seat === seat;
      button.setAttribute("aria-current", String(here));
      // on a phone the strip is wider than the page
      if (here) { strip.scrollLeft = button.offsetLeft - strip.offsetLeft - (strip.clientWidth - button.offsetWidth) / 2; }
    });
  }

  function filmstrip(card) {
    var near = neighbours(card);
    strip.hidden = !near.length;
    strip.replaceChildren();
    if (!near.length) { return; }
    var own = +card.dataset.index, all = near.concat([{ index: own }]).sort(function (a, b) { return a.index - b.index; });
    all.forEach(function (each) {
      var offset = each.index - own, button = element("button"), image = element("img");
      var svg = offset ? boxes(each, card) : card.querySelector("svg").cloneNode(true);
      svg.querySelectorAll(".tags").forEach(function (old) { old.remove(); });
      button.type = "button";
      button.dataset.seat = offset;
      button.title = "frame " + each.index;
      image.src = offset ? picture(each.picture) : (card.querySelector("img") || image).src;
      image.alt = "";
      button.style.aspectRatio = card.querySelector(".picture").style.aspectRatio;
      button.append(image, svg, element("span", "", offset > 0 ? "+" + offset : offset < 0 ? "−" + -offset : "this frame"));
      button.addEventListener("click", function () { seat = offset; show(); });
      strip.appendChild(button);
    });
  }

  /* "46–48, 50": numbers as ranges. */
  function ranges(numbers) {
    var parts = [];
    numbers.forEach(function (n) {
      var last = parts[parts.length - 1];
      if (last && last[1] === n - 1) { last[1] = n; } else { parts.push([n, n]); }
    });
    return parts.map(function (p) { return p[0] === p[1] ? p[0] : p[0] + "-" + p[1]; }).join(", ");
  }
  function joined(card, row) {
    var near = neighbours(card);
    if (!near.length || !near.some(function (n) { return n.boxes.some(function (b) { return b[4].length; }); })) { return ""; }
    var yes = [], no = [];
    near.forEach(function (each) {
      if (each.looked) { (each.boxes.some(function (box) { return box[4].indexOf(row) >= 0; }) ? yes : no).push(each.index); }
    });
    if (!yes.length) { return "seen in no neighbouring frame"; }
    return "seen in " + ranges(yes) + (no.length ? "; not in " + ranges(no) : "");
  }

  function highlight(row) {
    large.querySelectorAll(".lit").forEach(function (each) { each.classList.remove("lit"); });
    large.classList.toggle("lighting", row !== null);
    if (row === null) { return; }
    large.querySelectorAll(".mark").forEach(function (mark) { if ((mark.dataset.rows || String(vidal.read(mark).row)).split(" ").indexOf(String(row)) >= 0) { mark.classList.add("lit"); } });
    large.querySelectorAll('.tag[data-row="' + row + '"]').forEach(function (tag) { tag.classList.add("lit"); });
  }

  function describe(card) {
    var list = element("ul", "marks"), all = marks(card).reverse();
    panel.replaceChildren();
    card.querySelectorAll(".text > p").forEach(function (part) { panel.appendChild(part.cloneNode(true)); });
    var parts = card.querySelector(".score");
    if (parts && parts.title) { panel.appendChild(element("p", "parts", parts.title)); }
    all.forEach(function (told) {
      var item = element("li"), button = element("button", told.key), style = vidal.styles[told.key];
      button.type = "button";
      button.append(element("i", "", style.sign || "□"), element("b", "", told.name + (told.score ? " " + told.score : "")));
      button.append(element("span", "", style.words + (told.sure ? ", certainty " + told.sure : "")));
      var where = joined(card, told.row);
      if (where) { button.append(element("span", "linked", where)); }
      ["mouseenter", "focus"].forEach(function (name) { button.addEventListener(name, function () { highlight(told.row); }); });
      ["mouseleave", "blur"].forEach(function (name) { button.addEventListener(name, function () { highlight(null); }); });
      item.appendChild(button);
      list.appendChild(item);
    });
    if (all.length) { panel.appendChild(list); }
  }

  function address(hash) { try { history.replaceState(null, "", hash || location.pathname + location.search); } catch (error) { /* a preview without an address */ } }

  function open(card) {
    if (card.hidden) { showAll(); }
    now = card;
    seat = 0;
    var shown = visible();
    document.getElementById("large-rank").textContent = card.dataset.rank;
    document.getElementById("large-title").textContent = card.dataset.clip + " @ " + card.dataset.index;
    document.getElementById("large-place").textContent = (shown.indexOf(card) + 1) + " / " + shown.length;
    if (!large.open) { large.showModal(); }
    highlight(null);
    filmstrip(card);
    describe(card);
    show();
    stage.focus({ preventScroll: true });
    address("#rank-" + card.dataset.rank);
    card.scrollIntoView({ block: "nearest" });
  }
  function step(by) {
    var shown = visible(), at = shown.indexOf(now);
    if (shown.length) { open(shown[(at + by + shown.length) % shown.length]); }
  }
  function move(by) {
    var seats = Array.prototype.map.call(strip.children, function (button) { return +button.dataset.seat; });
    var at = seats.indexOf(seat) + by;
    if (seats.length && at >= 0 && at < seats.length) { seat = seats[at]; show(); }
  }
  // All of it at once: "close" is told later, when the focus may have gone on to something else.
  function shut() {
    var card = now;
    now = null;
    large.close();
    if (!card) { return; }
    address("");
    card.querySelector(".picture").focus();
  }
  large.addEventListener("cancel", function (event) { event.preventDefault(); shut(); });
  large.addEventListener("close", function () { if (!large.open) { shut(); } });  // by the browser itself

  function toggle(name) {
    var off = large.classList.toggle("no-" + name);
    large.querySelector('[data-act="' + name + '"]').setAttribute("aria-pressed", String(!off));
    if (now) { tags(); }
  }
  function zoom() {
    var on = large.classList.toggle("zoomed");
    large.querySelector('[data-act="zoom"]').setAttribute("aria-pressed", String(on));
    if (now) { tags(); }
  }
  var acts = {
    previous: function () { step(-1); }, next: function () { step(1); }, boxes: function () { toggle("boxes"); },
    labels: function () { toggle("labels"); }, zoom: zoom, help: function () { help.showModal(); }, close: shut
  };
  large.addEventListener("click", function (event) {
    var button = event.target.closest("[data-act]");
    if (button) { acts[button.dataset.act](); } else if (event.target === large) { shut(); }
  });
  help.addEventListener("click", function (event) { if (event.target === help) { help.close(); } });
  document.getElementById("keys").addEventListener("click", acts.help);

  // -- addresses: #rank-12 and #clip@123 ---------------------------------------------------------------

  function wanted(hash) {
    var text = hash.slice(1);
    try { text = decodeURIComponent(text); } catch (error) { return null; }
    var rank = /^rank-(\d+)$/.exec(text), at = text.lastIndexOf("@");
    return cards.find(function (card) {
      return rank ? card.dataset.rank === rank[1] : at > 0 && card.dataset.clip === text.slice(0, at) && card.dataset.index === text.slice(at + 1);
    }) || null;
  }
  function follow() {
    var card = wanted(location.hash);
    if (card && card !== now) { open(card); }
  }
  document.addEventListener("click", function (event) {
    var link = event.target.closest("a[href^='#']");
    var card = link && !event.defaultPrevented && !event.ctrlKey && !event.metaKey && !event.shiftKey && wanted(link.hash);
    if (card) { event.preventDefault(); open(card); }
  });
  window.addEventListener("hashchange", follow);
  vidal.open = open;
  vidal.wanted = wanted;

  // -- keys ------------------------------------------------------------------------------------------------

  function focused() { return document.activeElement && document.activeElement.closest(".card"); }
  function walk(by) {
    if (now) { step(by); return; }
    var shown = visible(), at = shown.indexOf(focused());
    var card = shown[at < 0 ? 0 : Math.min(Math.max(at + by, 0), shown.length - 1)];
    if (card) { card.querySelector(".picture").focus(); }
  }
  function end(last) {
    var shown = visible(), card = shown[last ? shown.length - 1 : 0];
    if (!card) { return; }
    if (now) { open(card); } else { card.querySelector(".picture").focus(); }
  }
  function go(id, target) { document.getElementById(id).scrollIntoView(); if (target) { target.focus({ preventScroll: true }); } }
  var keys = {
    ArrowRight: function () { walk(1); }, ArrowLeft: function () { walk(-1); }, j: function () { walk(1); }, k: function () { walk(-1); },
    Home: function () { end(false); }, End: function () { end(true); }, ",": function () { move(-1); }, ".": function () { move(1); },
    b: acts.boxes, l: acts.labels, z: acts.zoom, "?": acts.help, r: showAll,
    s: function () { sort.selectedIndex = (sort.selectedIndex + 1) % sort.options.length; order(); },
    f: function () { if (!now) { go("frames", filters.clip || filters["class"] || filters.kind || sort); } },
    g: function () { if (!now) { go("frames", visible()[0] && visible()[0].querySelector(".picture")); } },
    t: function () { if (!now) { go("timelines", document.querySelector("#timelines summary")); } },
    Enter: function () { if (!now && visible().length) { open(visible()[0]); } }
  };
  document.addEventListener("keydown", function (event) {
    var target = event.target, typing = /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName);
    if (event.ctrlKey || event.metaKey || event.altKey || (typing && event.key !== "?") || help.open) { return; }
    if (event.key === "Enter" && target.closest("a, button, summary")) { return; }
    if (/^[1-9]$/.test(event.key) && kinds[event.key - 1]) { kinds[event.key - 1].click(); return; }
    if ((event.key === "Home" || event.key === "End") && !now && !focused()) { return; }
    if (keys[event.key]) { event.preventDefault(); keys[event.key](); }
  });

  follow();
}());
