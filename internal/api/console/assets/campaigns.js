// Campaigns: what the server makes of a form while somebody fills it in (the message as a phone shows it, the estimated end, the columns of a file), and
// words that a button puts into the text. Without this script the same forms have buttons that ask the server.

const settle = 400; // milliseconds without a key before the server is asked

// ask posts a form as it is and puts the answer into an element. A newer question takes the place of an older one.
function asker(form, address, element, prepare) {
  let running = null;
  return async () => {
    running?.abort();
    const mine = new AbortController();
    running = mine;
    const data = new FormData(form);
    prepare(data);
    try {
      const answer = await fetch(address, { method: "POST", body: data, signal: mine.signal, redirect: "manual" });
      if (!answer.ok || mine.signal.aborted) return;
      const drawn = new DOMParser().parseFromString(await answer.text(), "text/html").body;
      if (mine.signal.aborted) return;
      const focused = element.contains(document.activeElement) ? document.activeElement.id : "";
      const place = [...element.querySelectorAll("button")].indexOf(document.activeElement);
      element.replaceChildren(...drawn.childNodes);
      if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
      if (place >= 0) element.querySelectorAll("button")[place]?.focus({ preventScroll: true });
      element.dispatchEvent(new CustomEvent("drawn"));
    } catch {
      // The page shows what it had; the buttons of the form still work.
    }
  };
}

function later(call) {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(call, settle);
  };
}

// startPreview follows the fields of a form.
function startPreview(form) {
  const element = document.getElementById(form.dataset.target);
  let recipient = "";
  const ask = asker(form, form.dataset.preview, element, (data) => {
    data.delete("file");
    if (recipient) data.set("recipient", recipient);
  });
  const soon = later(ask);
  form.addEventListener("input", (event) => {
    if (!event.target.matches("[type=file]")) soon();
  });
  form.addEventListener("click", (event) => {
    const button = event.target.closest("button[name=recipient], button[data-refresh]");
    if (!button) return;
    event.preventDefault();
    if (button.name) recipient = button.value;
    ask();
  });
  const media = form.querySelector("[data-media]");
  let picture = "";
  const show = () => {
    const slot = element.querySelector("[data-media-slot]");
    if (!picture || !slot) return;
    const image = document.createElement("img");
    image.src = picture;
    image.alt = "";
    slot.replaceChildren(image);
  };
  media?.addEventListener("change", () => {
    if (picture) URL.revokeObjectURL(picture);
    const file = media.files[0];
    picture = file?.type.startsWith("image/") ? URL.createObjectURL(file) : "";
    show();
  });
  element.addEventListener("drawn", show);
  // What somebody wrote before this script was there, or the browser kept of an earlier visit.
  if ([...form.elements].some((field) => field.matches("textarea") && field.value !== field.defaultValue)) soon();
}

// startGuess tells of a file which columns it has as soon as it is chosen.
function startGuess(form) {
  const file = form.querySelector("input[type=file]");
  const element = form.querySelector("[data-guessed]");
  const column = form.elements.phone_column;
  const ask = asker(form, form.dataset.guess, element, () => {});
  file.addEventListener("change", () => {
    column.value = "";
    element.replaceChildren();
    if (file.files.length > 0) ask();
  });
  form.addEventListener("change", (event) => {
    if (event.target.matches("[data-copy-to]")) {
      column.value = event.target.value;
      ask();
    } else if (event.target.name === "session_id" && file.files.length > 0) {
      ask();
    }
  });
}

// startInsert puts a word into the text at the place where somebody wrote last.
function startInsert(root) {
  let field = null;
  root.addEventListener("focusin", (event) => {
    if (event.target.matches("textarea[name=text], textarea[name=variant]")) field = event.target;
  });
  root.addEventListener("click", (event) => {
    const button = event.target.closest("[data-insert]");
    if (!button) return;
    const target = field?.isConnected ? field : button.form.elements.text;
    target.setRangeText(button.dataset.insert, target.selectionStart, target.selectionEnd, "end");
    target.focus();
    target.dispatchEvent(new Event("input", { bubbles: true }));
  });
}

export function startCampaigns(root) {
  for (const form of root.querySelectorAll("form[data-preview]")) startPreview(form);
  for (const form of root.querySelectorAll("form[data-guess]")) startGuess(form);
  if (root.querySelector("[data-insert]")) startInsert(root);
}
