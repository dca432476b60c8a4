// One bar for several videos: play, seek, step by frames, speed, loop. The videos are those of the players' row; the
// bar's value says how many frames they share and how fast: {"fps", "frames", "at"}. `at` goes back to the server, with
// an event "frame", whenever the videos come to rest on another frame.
const FAST_GAP_S = 0.2; // beyond it a video jumps to the others; below, it runs a little faster or slower
const GAIN = 2, MAX_CORRECTION = 0.15, SETTLE_MS = 120, SEEK_PATIENCE_MS = 2000;

const find = (part) => element.querySelector(`[data-part="${part}"]`);
const row = () => document.querySelector(".compare-players");
const videos = () => [...row().querySelectorAll("video")].filter((video) => video.currentSrc || video.src);
const shared = () => {
  const { fps = 1, frames = 0 } = props.value ? JSON.parse(props.value) : {};
  return { fps, frames };
};

let playing = false, rate = 1, loop = true, turn = 0, settling = 0, at = 0, sent = "";

const frameOf = (seconds) => {
  const { fps, frames } = shared();
  return Math.max(0, Math.min(frames - 1, Math.floor(seconds * fps + 1e-3)));
};

const draw = () => {
  const { fps, frames } = shared();
  const seek = find("seek");
  seek.max = Math.max(0, frames - 1);
  seek.value = at;
  seek.setAttribute("aria-valuetext", `Frame ${at + 1} of ${frames}`);
  find("place").textContent = `${at + 1} / ${frames} · ${(at / fps).toFixed(2)} s`;
  const play = find("play");
  play.dataset.playing = playing;
  play.setAttribute("aria-label", playing ? "Pause" : "Play");
  play.title = playing ? "Pause (space)" : "Play (space)";
  find("loop").setAttribute("aria-pressed", loop);
  for (const plot of document.querySelectorAll(".motion-plot")) {
    plot.style.setProperty("--at", frames > 1 ? at / (frames - 1) : 0);
  }
};

const rest = () => {
  clearTimeout(settling);
  settling = setTimeout(() => {
    const value = JSON.stringify({ ...shared(), at });
    if (playing || value === sent) return;
    sent = value;
    props.value = value;
    trigger("frame");
  }, SETTLE_MS);
};

// The middle of a frame's time, which no rounding turns into its neighbour.
const moment = (frame) => (frame + 0.5) / shared().fps;

const jump = (video, seconds) =>
  new Promise((done) => {
    setTimeout(done, SEEK_PATIENCE_MS); // one broken video does not hold the others
    video.addEventListener("seeked", done, { once: true });
    video.currentTime = seconds;
  });

const pause = () => {
  playing = false;
  turn += 1;
  for (const video of videos()) video.pause();
};

const show = async (frame) => {
  pause();
  const mine = turn;
  at = Math.max(0, Math.min(shared().frames - 1, frame));
  draw();
  await Promise.all(videos().map((video) => jump(video, moment(at))));
  if (mine === turn) rest();
};

const follow = (mine) => {
  if (mine !== turn) return;
  const [lead, ...others] = videos();
  const { frames } = shared();
  if (!lead) return pause();
  if (lead.ended || others.some((video) => video.ended) || lead.currentTime >= moment(frames - 0.6)) {
    if (loop) play(0);
    else show(frames - 1);
    return;
  }
  for (const video of others) {
    const gap = video.currentTime - lead.currentTime;
    if (Math.abs(gap) > FAST_GAP_S) video.currentTime = lead.currentTime;
    const correction = Math.abs(gap) < 0.008 ? 0 : Math.max(-MAX_CORRECTION, Math.min(MAX_CORRECTION, GAIN * gap));
    video.playbackRate = rate * (1 - correction);
  }
  at = frameOf(lead.currentTime);
  draw();
  requestAnimationFrame(() => follow(mine));
};

const play = async (from) => {
  pause();
  const mine = turn;
  at = from;
  const all = videos();
  for (const video of all) {
    video.muted = video.playsInline = true;
    video.loop = false;
    video.playbackRate = rate;
  }
  await Promise.all(all.map((video) => jump(video, from === 0 ? 0 : moment(from))));
  if (mine !== turn) return;
  playing = true;
  draw();
  await Promise.all(all.map((video) => video.play().catch(() => {})));
  follow(mine);
};

const toggle = () => {
  if (playing) show(at);
  else play(at >= shared().frames - 1 ? 0 : at);
};

element.addEventListener("click", (event) => {
  const part = event.target.closest("button")?.dataset.part;
  if (part === "play") toggle();
  if (part === "back") show(at - 1);
  if (part === "forward") show(at + 1);
  if (part === "loop") {
    loop = !loop;
    draw();
  }
});
element.addEventListener("input", (event) => {
  if (event.target.dataset.part === "seek") show(Number(event.target.value));
  if (event.target.dataset.part === "speed") {
    rate = Number(event.target.value);
    for (const video of videos()) video.playbackRate = rate;
  }
});
element.addEventListener("keydown", (event) => {
  const act = { " ": toggle, ",": () => show(at - 1), ".": () => show(at + 1) }[event.key];
  if (!act || (event.key === " " && event.target.closest("button, select"))) return;
  event.preventDefault();
  act();
});
watch("value", () => {
  if (props.value === sent) return draw(); // our own
  sent = props.value;
  pause();
  at = 0;
  draw();
});
draw();
