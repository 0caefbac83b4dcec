"""axe-core in a page, also one whose policy forbids inline scripts: it is evaluated by the driver, not by the page."""

from __future__ import annotations

from importlib.resources import files

from playwright.sync_api import Page

_AXE = (files("axe_playwright_python") / "axe.min.js").read_text()


def findings(page: Page) -> list[str]:
    """One line for each violation: the rule, how bad, what it says, and where."""
    page.evaluate(f"{_AXE}\n;undefined")
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{violation['id']} ({violation['impact']}): {violation['help']}: "
        + ", ".join(str(node["target"]) for node in violation["nodes"])
        for violation in found["violations"]
    ]
