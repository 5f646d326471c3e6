// A tooltip next to the cursor of a chart. All content is inserted as text.

export function tooltip(place, describe) {
  const box = document.createElement("div");
  box.className = "tip";
  box.hidden = true;
  return {
    hooks: {
      init: () => place.append(box),
      destroy: () => box.remove(),
      setCursor: (chart) => {
        const { left, event } = chart.cursor;
        const facts = left >= 0 && event ? describe(chart.posToVal(left, "x")) : null;
        box.hidden = !facts;
        if (!facts) return;
        box.replaceChildren(line("p", facts.title), list(facts.lines));
        const x = chart.over.offsetLeft + left;
        const room = place.clientWidth - x - box.offsetWidth - 24;
        box.style.left = `${room > 0 ? x + 16 : x - box.offsetWidth - 8}px`;
      },
    },
  };
}

function list(lines) {
  const items = document.createElement("ul");
  for (const [css, name, value] of lines) {
    const item = document.createElement("li");
    if (css) {
      const dot = document.createElement("i");
      dot.className = `dot ${css}`;
      item.append(dot);
    } else {
      item.className = "sum";
    }
    item.append(line("span", name), line("b", value));
    items.append(item);
  }
  return items;
}

function line(tag, text) {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
}
