// Live pages: an element with data-live (kinds of facts) and data-fragment is drawn anew when one of the facts happened. Facts come from the API's
// stream of events; without it the page looks every few seconds. An element with data-every (seconds) is about what no fact tells of: it is drawn anew
// at that pace until it has an element with data-ended.
import { refresh } from "./fragment.js";

const pollEvery = 10_000; // milliseconds
const together = 300; // facts within this time are one refresh
const apart = 1_000; // between two refreshes of one element, however much happens
const tryStreamAgain = 60_000;

// soon makes a function that refreshes an element a moment later, once for many calls, and never twice at the same time.
function soon(element) {
  let waiting = false;
  let running = false;
  let again = false;
  let last = -apart;
  const run = async () => {
    waiting = false;
    running = true;
    await refresh(element);
    running = false;
    last = performance.now();
    if (again) call();
    again = false;
  };
  const call = () => {
    if (waiting) return;
    if (running) {
      again = true;
      return;
    }
    waiting = true;
    setTimeout(run, Math.max(together, last + apart - performance.now()));
  };
  return call;
}

function startTicking(root) {
  for (const element of root.querySelectorAll("[data-every][data-fragment]")) {
    const draw = soon(element);
    const timer = setInterval(() => {
      if (element.querySelector("[data-ended]")) return clearInterval(timer);
      if (!document.hidden) draw();
    }, Number(element.dataset.every) * 1000);
  }
}

export function startLive(root) {
  startTicking(root);
  const parts = [...root.querySelectorAll("[data-live][data-fragment]")].map((element) => ({
    kinds: element.dataset.live.split(/\s+/).filter(Boolean),
    refresh: soon(element),
  }));
  if (parts.length === 0) return;
  const kinds = [...new Set(parts.flatMap((part) => part.kinds))];
  const all = () => parts.forEach((part) => part.refresh());
  let stream = null;
  let poll = 0;
  let retry = 0;

  const startPolling = () => {
    if (!poll) poll = setInterval(all, pollEvery);
    if (!retry) retry = setTimeout(open, tryStreamAgain);
  };
  const stopPolling = () => {
    clearInterval(poll);
    clearTimeout(retry);
    poll = retry = 0;
  };
  const open = () => {
    retry = 0;
    if (kinds.length === 0 || !window.EventSource) return startPolling();
    stream = new EventSource("/v1/events?" + new URLSearchParams({ kind: kinds.join(",") }));
    stream.onopen = () => {
      stopPolling();
      all(); // what happened before the stream stood
    };
    stream.onerror = () => {
      if (stream.readyState === EventSource.CLOSED) startPolling(); // refused: this service has none
    };
    for (const kind of kinds) {
      stream.addEventListener(kind, () => parts.filter((part) => part.kinds.includes(kind)).forEach((part) => part.refresh()));
    }
    stream.addEventListener("gap", all);
  };
  const close = () => {
    stopPolling();
    stream?.close();
    stream = null;
  };
  // A page that nobody sees holds no connection: browsers have six to one host.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return close();
    all();
    open();
  });
  window.addEventListener("pagehide", close);
  if (!document.hidden) open();
}
