// Makes one element equal to another, and keeps equal parts: focus, scrolling, selections and open details are preserved.

export function morph(old, fresh) {
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName || key(old) !== key(fresh)) {
    old.replaceWith(document.importNode(fresh, true));
  } else if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
  } else if (!("keep" in old.dataset)) {
    attributes(old, fresh);
    children(old, fresh);
  }
}

const key = (node) => node.id || node.dataset?.id || "";

function attributes(old, fresh) {
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !(name === "open" && old.localName === "details")) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value && !(name === "open" && old.localName === "details")) old.setAttribute(name, value);
  }
}

function children(old, fresh) {
  const keyed = new Map([...old.childNodes].filter(key).map((node) => [key(node), node]));
  let current = old.firstChild;
  for (const target of [...fresh.childNodes]) {
    const known = key(target) ? keyed.get(key(target)) : current && !key(current) ? current : null;
    if (!known) {
      old.insertBefore(document.importNode(target, true), current);
      continue;
    }
    if (known === current) current = current.nextSibling;
    else place(old, known, current);
    morph(known, target);
  }
  while (current) {
    const next = current.nextSibling;
    current.remove();
    current = next;
  }
}

// moveBefore, where supported, preserves the focus that insertBefore loses.
const place = (parent, node, before) => (parent.moveBefore ? parent.moveBefore(node, before) : parent.insertBefore(node, before));
