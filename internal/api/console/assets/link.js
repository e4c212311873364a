// The page of a link: it follows the link's own stream of events, draws each state anew, and counts down to the end of a code.
import { refresh } from "./fragment.js";

// countdown shows the seconds that an element has left, by the clock of this browser from the moment it was drawn.
export function countdown(root) {
  const counters = [...root.querySelectorAll("[data-seconds]")].map((element) => ({
    element,
    end: performance.now() + Number(element.dataset.seconds) * 1000,
  }));
  const show = () => {
    for (const { element, end } of counters) {
      const left = Math.max(0, Math.ceil((end - performance.now()) / 1000));
      element.textContent = Math.floor(left / 60) + ":" + String(left % 60).padStart(2, "0");
    }
  };
  show();
  return counters.length > 0 ? setInterval(show, 250) : 0;
}

export function startLink(root) {
  const element = root.querySelector("[data-link]");
  if (!element) return;
  let timer = countdown(element);
  element.addEventListener("fragment", () => {
    clearInterval(timer);
    timer = countdown(element);
  });
  if (element.querySelector("[data-ended]")) return;
  const stream = new EventSource(element.dataset.link);
  let last = Promise.resolve();
  stream.addEventListener("link", () => {
    last = last.then(async () => {
      await refresh(element);
      if (element.querySelector("[data-ended]")) stream.close();
    });
  });
  let poll = 0;
  stream.onerror = () => {
    if (stream.readyState === EventSource.CLOSED && !poll) poll = setInterval(() => refresh(element), 3000);
  };
  window.addEventListener("pagehide", () => {
    stream.close();
    clearInterval(poll);
  });
}
