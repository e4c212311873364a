// Buttons that copy the text of an element: data-copy names it, data-status the element that says so, data-copied what it says.

export function startCopy(root) {
  root.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const source = document.getElementById(button.dataset.copy);
    if (!navigator.clipboard) {
      // A page without TLS may not copy; what is selected can be copied by hand.
      window.getSelection().selectAllChildren(source);
      return;
    }
    await navigator.clipboard.writeText(source.textContent);
    const said = document.getElementById(button.dataset.status);
    if (said) said.textContent = button.dataset.copied;
  });
}
