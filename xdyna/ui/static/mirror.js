// The camera's pictures go to the server one by one, and what it draws is shown. The value is the mirror's ticket, or
// "" where none is on. Two pictures are on their way at most: the server looks at one while it draws the other.
const LONGER_SIDE = 640, RATE = 20, QUALITY = 0.8, MAX_ON_THE_WAY = 2, MAX_FAILURES = 20, TELL_EVERY_MS = 1000;

const find = (part) => element.querySelector(`[data-part="${part}"]`);
const sent = document.createElement("canvas");

let turn = 0, camera = null, again = false, onTheWay = 0, failures = 0, number = 0, shown = 0, told = 0, behind = [];

const say = (state) => {
  const stage = find("stage");
  if (stage.dataset.state !== state) stage.dataset.state = state;
};

const stop = (state) => {
  turn += 1;
  for (const track of camera?.getTracks() ?? []) track.stop();
  camera = null;
  find("camera").srcObject = null;
  find("rate").textContent = "";
  say(state);
};

// The server waits for pictures that will not come: the next visitor should not.
const giveUp = (state) => {
  stop(state);
  document.querySelector("#mirror-stop")?.click();
};

// Behind a proxy the page may live in a folder.
const address = () => {
  const folder = new URL(window.gradio_config?.root ?? "/", location.href).pathname.replace(/\/$/, "");
  return `${location.origin}${folder}/xdyna/mirror/${props.value}`;
};

const tell = (milliseconds) => {
  behind.push(milliseconds);
  const now = performance.now();
  if (now - told < TELL_EVERY_MS) return;
  const rate = (behind.length * 1000) / (now - told);
  const middle = behind.sort((one, other) => one - other)[behind.length >> 1];
  if (told) find("rate").textContent = `${rate.toFixed(0)} frames/s · ${middle.toFixed(0)} ms behind`;
  [told, behind] = [now, []];
};

const picture = () => {
  const video = find("camera");
  const zoom = Math.min(1, LONGER_SIDE / Math.max(video.videoWidth, video.videoHeight));
  sent.width = Math.round(video.videoWidth * zoom);
  sent.height = Math.round(video.videoHeight * zoom);
  const pen = sent.getContext("2d", { willReadFrequently: true }); // in main memory, where JPEGs are made
  if (find("glass").checked) pen.setTransform(-1, 0, 0, 1, sent.width, 0);
  pen.drawImage(video, 0, 0, sent.width, sent.height);
  return new Promise((done) => sent.toBlob(done, "image/jpeg", QUALITY));
};

const send = async (mine, taken) => {
  onTheWay += 1;
  const at = (number += 1), suffix = again ? "?again" : "";
  again = false;
  try {
    const answer = await fetch(address() + suffix, { method: "POST", body: await picture() });
    if (mine !== turn) return;
    if (answer.status === 410) return stop("ended");
    if (!answer.ok) throw new Error(answer.status);
    const drawn = await createImageBitmap(await answer.blob());
    if (mine !== turn || at < shown) return;
    [shown, failures] = [at, 0];
    const canvas = find("drawn");
    if (canvas.width !== drawn.width || canvas.height !== drawn.height) {
      [canvas.width, canvas.height] = [drawn.width, drawn.height];
    }
    canvas.getContext("2d").drawImage(drawn, 0, 0);
    drawn.close();
    say(answer.headers.get("X-Mirror-State"));
    tell(performance.now() - taken);
  } catch {
    failures += 1;
    if (mine === turn && failures > MAX_FAILURES) stop("ended");
  } finally {
    onTheWay -= 1;
  }
};

const follow = (mine) =>
  find("camera").requestVideoFrameCallback((now, { captureTime }) => {
    if (mine !== turn) return;
    if (onTheWay < MAX_ON_THE_WAY) send(mine, captureTime ?? now);
    follow(mine);
  });

const start = async () => {
  stop("asking");
  const mine = turn;
  const video = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: RATE }, facingMode: "user" };
  let found;
  try {
    found = await navigator.mediaDevices.getUserMedia({ audio: false, video });
  } catch (error) {
    if (mine === turn) giveUp(error.name === "NotAllowedError" ? "refused" : "no-camera");
    return;
  }
  if (mine !== turn) {
    for (const track of found.getTracks()) track.stop();
    return;
  }
  camera = found;
  [number, shown, failures, told, behind] = [0, 0, 0, 0, []];
  for (const video of document.querySelectorAll("video")) video.pause(); // they cost the browser what the mirror needs
  find("camera").srcObject = camera;
  await find("camera").play();
  follow(mine);
};

element.addEventListener("click", (event) => {
  if (event.target.closest('[data-part="again"]')) again = true;
});
element.addEventListener("change", () => {
  again = true; // right and left are now the other way round
  find("camera").classList.toggle("unmirrored", !find("glass").checked);
});
watch("value", () => {
  const { state } = find("stage").dataset;
  if (props.value) start();
  else stop(["refused", "no-camera"].includes(state) ? state : "off"); // why it ended is still to be read
});
