"""What the page does by itself. It has no `</`, which would end its element."""

from __future__ import annotations

SCRIPT = r"""
"use strict";
(() => {
const all = (selector, from = document) => [...from.querySelectorAll(selector)];
const find = id => document.getElementById(id);
const said = find("said"), field = find("filter"), shown = find("shown");
const openAll = find("open-all");
document.documentElement.classList.add("script");

// Copying: the text before the button.
document.addEventListener("click", async event => {
  const button = event.target.closest("button.copy");
  if (!button) return;
  const code = button.previousElementSibling;
  let done = false;
  try {
    await navigator.clipboard.writeText(code.textContent);
    done = true;
  } catch { /* The browser forbids it here. */ }
  if (!done) getSelection().selectAllChildren(code);
  button.textContent = done ? "copied" : "selected";
  said.textContent = button.textContent;
  setTimeout(() => { button.textContent = "copy"; }, 1500);
});

// Digests of layers get their buttons when their image is opened: there are thousands.
const addButtons = details => {
  for (const code of all("code.digest:only-child", details)) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "copy";
    button.setAttribute("aria-label", "Copy digest");
    code.after(button);
  }
};
document.addEventListener("toggle", event => {
  if (event.target.open) addButtons(event.target);
}, true);
all("details.image[open]").forEach(addButtons);

// A link opens what it leads to.
const openTarget = () => {
  const target = location.hash && find(location.hash.slice(1));
  if (!target || target.tagName !== "DETAILS") return;
  target.open = true;
  target.hidden = false;
  target.scrollIntoView();
};
addEventListener("hashchange", openTarget);
openTarget();

if (!field) return;
const images = all("details.image[data-outcome]");
const texts = new Map();
const text = image => {
  if (!texts.has(image)) texts.set(image, image.textContent.toLowerCase());
  return texts.get(image);
};
const choices = all("button[data-only]");
const isPressed = choice => choice.getAttribute("aria-pressed") === "true";
const filter = () => {
  const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  const only = choices.filter(isPressed).map(choice => choice.dataset.only);
  let count = 0;
  for (const image of images) {
    const fits = (!only.length || only.includes(image.dataset.outcome))
      && words.every(word => text(image).includes(word));
    image.hidden = !fits;
    count += fits;
  }
  for (const section of all("section.outcome"))
    section.hidden = !section.querySelector("details.image:not([hidden])");
  shown.textContent = `${count === images.length ? "" : `${count} of `}${images.length} images`;
};
field.addEventListener("input", filter);
for (const choice of choices) choice.addEventListener("click", () => {
  choice.setAttribute("aria-pressed", !isPressed(choice));
  filter();
});
openAll.addEventListener("click", () => {
  const open = openAll.textContent === "Open all";
  for (const image of images) if (!image.hidden) image.open = open;
  openAll.textContent = open ? "Close all" : "Open all";
});
// A browser keeps the text of the field when it loads the page again.
filter();
})();
"""
