// Draws a stroke where the pointer goes, and tells the server its points, in shares of the picture.
let points = null;

const place = (canvas, event) => {
  const box = canvas.getBoundingClientRect();
  return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
};
const draw = (canvas) => {
  const pen = canvas.getContext("2d");
  const adds = document.querySelector("#brush-tool input:checked")?.value !== "remove";
  const size = Number(document.querySelector("#brush-size input[type=range]")?.value ?? 2);
  pen.lineCap = pen.lineJoin = "round";
  pen.lineWidth = (2 * size * Math.max(canvas.width, canvas.height)) / 100;
  pen.strokeStyle = adds ? "#a855f7cc" : "#0f172acc";
  pen.clearRect(0, 0, canvas.width, canvas.height);
  pen.beginPath();
  points.forEach(([x, y], k) => pen[k ? "lineTo" : "moveTo"](x * canvas.width, y * canvas.height));
  pen.lineTo(points.at(-1)[0] * canvas.width, points.at(-1)[1] * canvas.height);
  pen.stroke();
};

element.addEventListener("pointerdown", (event) => {
  const canvas = event.target.closest("[data-part=brush]");
  if (!canvas || event.button) return;
  event.preventDefault();
  canvas.setPointerCapture(event.pointerId);
  points = [place(canvas, event)];
  draw(canvas);
});
element.addEventListener("pointermove", (event) => {
  const canvas = event.target.closest("[data-part=brush]");
  if (!canvas || !points || points.length >= 4000) return;
  points.push(place(canvas, event));
  draw(canvas);
});
element.addEventListener("pointerup", () => {
  if (points) trigger("select", { points });
  points = null;
});
element.addEventListener("pointercancel", () => { points = null; });
