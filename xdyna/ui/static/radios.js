// Gradio gives every choice of a radio group a name of its own. Only under one name do the arrow keys move among them, and
// does a screen reader count them.
() => {
  const unite = () => {
    for (const group of document.querySelectorAll("fieldset:has(input[type=radio])")) {
      for (const radio of group.querySelectorAll("input[type=radio]")) {
        if (radio.name !== group.id) radio.name = group.id;
      }
    }
  };
  new MutationObserver(unite).observe(document.body, {
    childList: true,
    subtree: true,
    attributes: true,
    attributeFilter: ["name"],
  });
  unite();
};
