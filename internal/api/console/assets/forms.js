// Forms: questions before what cannot be taken back, buttons that cannot be pressed twice, steps that go on by themselves, and the focus on the first
// mistake.

export function startForms(root) {
  root.addEventListener("submit", (event) => {
    const form = event.target;
    const question = event.submitter?.dataset.confirm ?? form.dataset.confirm;
    if (question && !window.confirm(question)) {
      event.preventDefault();
      return;
    }
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    if (form.method === "post" && !("stays" in form.dataset)) form.dataset.sent = "yes";
  });
  // A page that comes back from the browser's memory can be sent again.
  window.addEventListener("pageshow", () => {
    for (const form of root.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  });
  // A choice that is sent as soon as it is made.
  root.addEventListener("change", (event) => {
    if (event.target.matches("[data-submit]")) event.target.form?.requestSubmit();
  });
  // The next step of something long, which has a button to go on without scripts.
  root.querySelector("form[data-goes-on]")?.requestSubmit();
  root.querySelector("[aria-invalid=true]")?.focus();
}
