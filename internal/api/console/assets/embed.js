// The link page in a frame of the web app. The token comes in the part of the address behind #, which browsers send to no server; from then on it is in
// this script alone, and goes out as a header.
import { refresh } from "./fragment.js";
import { countdown } from "./link.js";

const tryAgain = 3_000; // milliseconds

const token = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
history.replaceState(null, "", location.pathname + location.search);

const asToken = { headers: { Authorization: "Bearer " + token }, credentials: "omit", cache: "no-store" };

// follow calls changed whenever something comes from the link's stream of events, and ends with it.
async function follow(session, changed) {
  const answer = await fetch("/v1/sessions/" + encodeURIComponent(session) + "/link/events", asToken);
  if (!answer.ok) return;
  const reader = answer.body.getReader();
  while (!(await reader.read()).done) {
    if (await changed()) return reader.cancel();
  }
}

async function start(element) {
  const { embed: session, parent } = element.dataset;
  let timer = 0;
  element.addEventListener("fragment", () => {
    clearInterval(timer);
    timer = countdown(element);
  });
  const draw = async () => {
    await refresh(element, asToken);
    return element.querySelector("[data-ended]") !== null;
  };
  while (!(await draw())) {
    await follow(session, draw).catch(() => {}); // it is tried again
    if (await draw()) break;
    await new Promise((resume) => setTimeout(resume, tryAgain));
  }
  const state = element.querySelector("[data-state]")?.dataset.state;
  if (state && window.parent !== window) window.parent.postMessage({ type: "broadcaster.link", session_id: session, state }, parent);
}

const element = document.querySelector("[data-embed]");
if (element) start(element);
