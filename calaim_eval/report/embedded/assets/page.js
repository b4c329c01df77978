// Tabs: without this script every tab is shown, one under the other, as in print.
document.querySelectorAll(".tabset").forEach(function (set, s) {
  var tabs = Array.from(set.children).filter(function (e) { return e.classList.contains("tab"); });
  var bar = document.createElement("div");
  bar.setAttribute("role", "tablist");
  var buttons = tabs.map(function (tab, t) {
    var heading = tab.querySelector("h1,h2,h3,h4,h5,h6");
    var button = document.createElement("button");
    button.type = "button";
    button.textContent = heading.textContent;
    button.id = "tab-" + s + "-" + t;
    button.setAttribute("role", "tab");
    heading.classList.add("in-tab");
    tab.setAttribute("role", "tabpanel");
    tab.setAttribute("aria-labelledby", button.id);
    button.addEventListener("click", function () { show(t); });
    button.addEventListener("keydown", function (event) {
      var step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step) { show((t + step + tabs.length) % tabs.length, true); }
    });
    bar.appendChild(button);
    return button;
  });
  function show(chosen, focus) {
    tabs.forEach(function (tab, t) {
      tab.classList.toggle("closed", t !== chosen);
      buttons[t].setAttribute("aria-selected", String(t === chosen));
      buttons[t].tabIndex = t === chosen ? 0 : -1;
    });
    if (focus) { buttons[chosen].focus(); }
  }
  set.insertBefore(bar, set.firstChild);
  show(0);
});
