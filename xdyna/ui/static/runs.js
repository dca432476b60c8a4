// Buttons of the cards, and results that are dropped anywhere on the page.
element.addEventListener("click", (event) => {
  const button = event.target.closest("[data-action]");
  if (button) trigger("click", { action: button.dataset.action, id: button.dataset.id });
});

const root = element.closest(".xdyna");
// An element and no content of the style: it is said in the visitor's language like all else.
const hint = document.createElement("p");
hint.className = "drop-hint";
hint.textContent = "Drop a result to restore its settings";
root.append(hint);

// Upload boxes take what is dropped on them themselves.
const stray = (event) =>
  event.dataTransfer?.types.includes("Files") && !event.target.closest?.(".block")?.querySelector("input[type=file]");

document.addEventListener("dragover", (event) => {
  if (!stray(event)) return;
  event.preventDefault();
  root.classList.add("dropping");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) root.classList.remove("dropping");
});
document.addEventListener("drop", (event) => {
  root.classList.remove("dropping");
  if (!stray(event)) return;
  event.preventDefault();
  const input = document.querySelector("#restore input[type=file]");
  if (!input || !event.dataTransfer.files.length) return;
  const files = new DataTransfer();
  files.items.add(event.dataTransfer.files[0]);
  input.files = files.files;
  input.dispatchEvent(new Event("change", { bubbles: true }));
});
