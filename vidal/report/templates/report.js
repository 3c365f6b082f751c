(function () {
  "use strict";
  var grid = document.getElementById("grid");
  var cards = Array.prototype.slice.call(grid.children);
  var byClip = document.getElementById("by-clip");
  var byClass = document.getElementById("by-class");
  var byError = document.getElementById("by-error");
  var count = document.getElementById("count");
  var large = document.getElementById("large");
  var stage = large.querySelector("div");

  function value(control) { return control ? control.value : ""; }

  function filter() {
    var clip = value(byClip), label = value(byClass), error = value(byError), left = 0;
    cards.forEach(function (card) {
      var data = card.dataset;
      var keep = (!clip || data.clip === clip) &&
        (!label || data.labels.indexOf(" " + label + " ") >= 0) &&
        (!error || data[error] !== "0");
      card.hidden = !keep;
      if (keep) { left += 1; }
    });
    count.textContent = left === cards.length ? "" : left + " of " + cards.length + " shown";
  }
  [byClip, byClass, byError].forEach(function (control) {
    if (control) { control.addEventListener("change", filter); }
  });

  document.querySelectorAll("input[data-kind]").forEach(function (box) {
    box.addEventListener("change", function () {
      document.body.classList.toggle("no-" + box.dataset.kind, !box.checked);
    });
  });

  function enlarge(picture) {
    stage.replaceChildren(picture.cloneNode(true), picture.nextElementSibling.cloneNode(true));
    large.showModal();
  }
  grid.addEventListener("click", function (event) {
    var picture = event.target.closest(".picture");
    if (picture) { enlarge(picture); }
  });
  grid.addEventListener("keydown", function (event) {
    if (event.key !== "Enter" && event.key !== " ") { return; }
    if (event.target.classList.contains("picture")) { event.preventDefault(); enlarge(event.target); }
  });
  large.addEventListener("click", function (event) {
    if (event.target === large || event.target.closest("button")) { large.close(); }
  });
  document.addEventListener("click", function (event) {
    var pick = event.target.closest("a.pick[href]");
    if (!pick) { return; }
    var card = document.getElementById(pick.hash.slice(1));
    if (card && card.hidden) {
      [byClip, byClass, byError].forEach(function (control) { if (control) { control.value = ""; } });
      filter();
    }
  });
}());
