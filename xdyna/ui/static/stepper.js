// Shows the screen whose name is the stepper's value, and keeps the browser's Back button on the page.
const root = element.closest(".xdyna");
const names = [...element.querySelectorAll("[data-step]")].map((button) => button.dataset.step);

const show = (name, focus) => {
  if (root.dataset.screen === name) return;
  root.dataset.screen = name;
  for (const button of element.querySelectorAll("[data-step]")) {
    if (button.dataset.step === name) button.setAttribute("aria-current", "step");
    else button.removeAttribute("aria-current");
  }
  if (location.hash.slice(1) !== name) history.pushState(null, "", `#${name}`);
  if (!focus) return;
  element.scrollIntoView({ block: "start" });
  // Who came by a button of the screen that has just gone goes on from the steps, not from the top of the page.
  if (!document.activeElement?.checkVisibility()) element.querySelector("[aria-current]").focus({ preventScroll: true });
};

const go = (name) => {
  props.value = name; // Gradio tells who listens to changes
  show(name, true);
};

element.addEventListener("click", (event) => {
  const button = event.target.closest("[data-step]");
  if (button) go(button.dataset.step);
});
addEventListener("popstate", () => go(names.includes(location.hash.slice(1)) ? location.hash.slice(1) : names[0]));
watch("value", () => show(props.value, true));
history.replaceState(null, "", `#${props.value}`);
show(props.value, false);
