// Fragments: parts of a page that the server draws alone, at the page's own address with ?fragment=name.

// lastDrawn has what each fragment was drawn from, so that what is the same is left alone.
const lastDrawn = new WeakMap();

// busy tells whether somebody is filling in something inside, which must not be taken from under their hands.
function busy(element) {
  const active = document.activeElement;
  return element.contains(active) && active.matches("input:not([type=hidden]), textarea, select");
}

// keepFocus gives the focus back to the element of the same id, or to the element at the same place among the links and buttons.
function keepFocus(element, change) {
  const active = document.activeElement;
  const inside = element.contains(active) && active !== element;
  const reachable = "a[href], button, summary, [tabindex]";
  const place = inside ? [...element.querySelectorAll(reachable)].indexOf(active) : -1;
  const id = inside ? active.id : "";
  const open = new Set([...element.querySelectorAll("details[open][id]")].map((found) => found.id));
  change();
  for (const details of element.querySelectorAll("details[id]")) details.open = open.has(details.id) || details.open;
  if (!inside) return;
  const again = (id && document.getElementById(id)) || element.querySelectorAll(reachable)[place];
  if (again) again.focus({ preventScroll: true });
}

// announce says to screen readers what a fragment wants to be said, once for each new text.
function announce(element) {
  const said = document.getElementById(element.dataset.status ?? "");
  const text = element.querySelector("[data-announce]")?.dataset.announce ?? "";
  if (said && said.textContent !== text) said.textContent = text;
}

const afterTyping = 500; // milliseconds

// later refreshes an element when somebody has left the field in it. The press of a button beside the field comes first.
function later(element) {
  if (element.dataset.late) return;
  element.dataset.late = "yes";
  element.addEventListener(
    "focusout",
    () =>
      setTimeout(() => {
        delete element.dataset.late;
        if (!element.querySelector("form[data-sent]")) refresh(element);
      }, afterTyping),
    { once: true },
  );
}

// refresh draws a fragment anew; options are more of fetch. It answers false when the server cannot be reached now; somebody who is logged out is sent to the login.
export async function refresh(element, options = {}) {
  if (busy(element)) {
    later(element);
    return true;
  }
  const address = new URL(window.location.href);
  address.searchParams.set("fragment", element.dataset.fragment);
  let answer;
  try {
    answer = await fetch(address, { redirect: "manual", ...options, headers: { Accept: "text/html", ...options.headers } });
  } catch {
    return false;
  }
  if (answer.type === "opaqueredirect") {
    window.location.reload();
    return true;
  }
  if (!answer.ok) return answer.status < 500;
  const drawn = new DOMParser().parseFromString(await answer.text(), "text/html").body;
  if (drawn.innerHTML === lastDrawn.get(element)) return true;
  if (busy(element)) {
    later(element);
    return true;
  }
  lastDrawn.set(element, drawn.innerHTML);
  keepFocus(element, () => element.replaceChildren(...drawn.childNodes));
  announce(element);
  element.dispatchEvent(new CustomEvent("fragment", { bubbles: true }));
  return true;
}
