// The tab's title tells how far the run is, for those who look elsewhere meanwhile.
const name = document.title;
watch("value", () => {
  const done = element.querySelector(".bar div");
  document.title = done ? `(${done.style.width.replace("%", "\u202f%")}) ${name}` : name;
});
