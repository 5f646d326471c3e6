"""Layout: no text overlaps other text or a bar, and no column header is cut off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import quote

import deploy_shop
import known_shop
import long_shop
import pytest
import queue_shop
from playwright.sync_api import Page

from scout_dashboard.collector import Collector

if TYPE_CHECKING:
    from browser import Opened

pytest_plugins = ("browser",)  # its fixtures; not imported here, as pytest must rewrite its asserts first

OF_ENDPOINT = [
    f"/endpoint?name={quote(name)}" for name in (long_shop.NAME, long_shop.JOB, long_shop.ORDERS, queue_shop.MAIL)
]
OF_TRACE = [f"/trace/{long_shop.TRACE_ID}", f"/trace/{known_shop.TRACE_ID}"]
PAGES = (
    "/",
    "/endpoints",
    "/jobs",
    "/errors",
    f"/error?group={known_shop.FAILED}",
    "/operations",
    *(f"/operation?id={op}" for op in long_shop.OPERATION_IDS),
    *OF_ENDPOINT,
    *OF_TRACE,
    "/plugins",
    "/health",
    "/?app=nope",
    "/deploys",
    deploy_shop.ADDRESS,
)

FAULTS = """() => {
  // The visible part of a box.
  const visible = (box, element) => {
    if (!element.checkVisibility()) return null;
    let { left, top, right, bottom } = box;
    for (let at = element; at && at !== document.body; at = at.parentElement) {
      const style = getComputedStyle(at);
      if (style.visibility !== "visible" || style.clipPath !== "none") return null;
      if (at instanceof SVGElement || (style.overflowX === "visible" && style.overflowY === "visible")) continue;
      const clip = at.getBoundingClientRect();
      [left, top, right, bottom] = [Math.max(left, clip.left), Math.max(top, clip.top), Math.min(right, clip.right), Math.min(bottom, clip.bottom)];
    }
    return right - left > 1 && bottom - top > 1 ? { left, top, right, bottom } : null;
  };
  const boxes = [];
  const add = (what, element, box) => {
    const part = visible(box, element);
    if (part) boxes.push({ what, element, ...part });
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode;
    if (!node.data.trim() || ["SCRIPT", "STYLE"].includes(node.parentElement.tagName)) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const box of range.getClientRects()) add(node.data.trim().slice(0, 60), node.parentElement, box);
  }
  for (const svg of document.querySelectorAll("svg.lane, svg.bar")) add(svg.getAttribute("class"), svg, svg.getBoundingClientRect());
  const faults = [];
  boxes.forEach((a, index) => boxes.slice(index + 1).forEach((b) => {
    const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (a.element !== b.element && wide > 1 && high > 3) faults.push(`${a.what} | ${b.what}: ${Math.round(wide)} px`);
  }));
  for (const cell of document.querySelectorAll("th, td, dd, dt")) {
    if (cell.scrollWidth > cell.clientWidth + 1 && getComputedStyle(cell).display !== "inline")
      faults.push(`${cell.textContent.trim().slice(0, 60)} needs ${cell.scrollWidth} px of ${cell.clientWidth}`);
  }
  return faults;
}"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """Four applications, one with long names, one with queues, one with a deploy; no test changes them."""
    with Collector.running(state_dir=tmp_path_factory.mktemp("shop")) as collector:
        known_shop.fill(collector)
        known_shop.send(collector, long_shop.report())
        queue_shop.fill(collector)
        deploy_shop.fill(collector)
        yield collector


def faults(page: Page) -> list[str]:
    return page.evaluate(FAULTS)


@pytest.mark.parametrize("width", [1440, 1280, 1000, 700, 400])
def test_no_text_overlaps_or_is_cut_off(shop: Collector, opened: Opened, width: int) -> None:
    window = opened(shop, viewport={"width": width, "height": 900})
    window.excused = ("status of 404",)
    found = {}
    for path in PAGES:
        page = window.open(path)
        page.evaluate(
            "document.querySelectorAll('.waterfall details, .found details').forEach((details) => (details.open = true))"
        )
        found[path] = faults(page)
        if page.evaluate("document.documentElement.scrollWidth") > width:
            found[path].append("wider than its window")

    assert {} == {path: wrong for path, wrong in found.items() if wrong}


def test_the_check_detects_overlapping_text(shop: Collector, opened: Opened) -> None:
    page = opened(shop).open(OF_TRACE[0])
    assert [] == faults(page)

    page.evaluate(
        "for (const name of document.querySelectorAll('.what b')) name.style = 'flex: none; overflow: visible'"
    )

    assert any("| lane" in fault for fault in faults(page))


def test_the_full_text_of_a_truncated_name_is_in_its_title(shop: Collector, opened: Opened) -> None:
    page = opened(shop, viewport={"width": 1000, "height": 900}).open(OF_TRACE[0])
    cut = page.evaluate(
        """() => [...document.querySelectorAll(".what b")].filter((name) => name.scrollWidth > name.clientWidth)
          .map((name) => [name.textContent, name.closest("summary").title])"""
    )

    assert cut
    assert all(name in title for name, title in cut)
    assert all(operation in page.inner_text("#summary") for operation in long_shop.OPERATIONS)
