// Asks for the page again and puts its new content in place of the old, so that there is one
// renderer: the server's. Nothing is asked while nobody looks.
"use strict";

const PAUSE_MS = 2000;
const PATIENCE_MS = 10000;
const notice = document.getElementById("notice");

async function fetchPage() {
  const answer = await fetch("/", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById("content");
  if (fresh === null) {
    throw new Error(`answer ${answer.status} is not the page`);
  }
  return { fresh, title: page.title };
}

function show({ fresh, title }) {
  document.title = title;
  if (!document.getSelection().isCollapsed) {
    return; // somebody is about to copy this
  }
  const old = document.getElementById("content");
  const focused = old.contains(document.activeElement)
    ? document.activeElement.getAttribute("href")
    : null;
  old.replaceWith(document.adoptNode(fresh));
  if (focused !== null) {
    fresh.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }
}

async function refresh() {
  if (!document.hidden) {
    try {
      show(await fetchPage());
      notice.hidden = true;
    } catch {
      notice.textContent = "The service does not answer. What you see is old; trying again.";
      notice.hidden = false;
    }
  }
  setTimeout(refresh, PAUSE_MS);
}

setTimeout(refresh, PAUSE_MS);
