// The player of recordings: segments one after another, the next one loaded while one is shown.
"use strict";

const camera = document.body.dataset.camera;
const choice = document.getElementById("choice");
const list = document.getElementById("segments");
const clock = document.getElementById("clock");
let segments = [];
let shown = -1; // the number of the segment that is played
let videos = [...document.querySelectorAll("#stage video")]; // the one in front comes first

function fileOf(segment) {
  const { upscaled, original } = segment; // of some hours only one of them was recorded, or can be read
  const files = choice.kind.value === "original" ? [original, upscaled] : [upscaled, original];
  return files.find((file) => file && file.seconds > 0);
}

function localTime(seconds) {
  const date = new Date(1000 * seconds - 60000 * new Date(1000 * seconds).getTimezoneOffset());
  return date.toISOString().slice(0, 19);
}

async function load() {
  const day = choice.day.value;
  const after = new Date(`${day}T12:00:00`);
  after.setDate(after.getDate() + 1);
  const next = `${after.getFullYear()}-${String(after.getMonth() + 1).padStart(2, "0")}-${String(after.getDate()).padStart(2, "0")}`;
  const times = `from=${day}T00:00&to=${next}T00:00`;
  const answer = await fetch(`../../api/recordings?camera=${camera}&${times}`);
  if (!answer.ok) {
    clock.textContent = (await answer.text()).trim();
    return;
  }
  const found = await answer.json();
  segments = found.segments.filter((segment) => segment.seconds > 0);
  document.getElementById("more").hidden = !found.more;
  chooseKind();
  const original = choice.kind.value === "original" ? "&original=1" : "";
  document.getElementById("playlist").href = `playlist.m3u8?${times}${original}`;
  shown = -1;
  list.replaceChildren(...segments.map(entry));
}

// Chooses the original where nothing else is there, and takes that back where something is.
function chooseKind() {
  const onlyOriginal = segments.length > 0 && !segments.some((segment) => segment.upscaled);
  const upscaled = choice.kind.querySelector("[value=upscaled]");
  if (onlyOriginal) choice.kind.value = "original";
  else if (upscaled.disabled) choice.kind.value = "upscaled";
  upscaled.disabled = onlyOriginal;
  document.getElementById("export").original.checked = choice.kind.value === "original";
}

function entry(segment, number) {
  const button = document.createElement("button");
  const image = document.createElement("img");
  image.loading = "lazy";
  image.alt = "";
  image.src = `${fileOf(segment).path}.jpg`;
  const label = document.createElement("span");
  label.textContent = `${localTime(segment.start_s).slice(11)} · ${Math.round(fileOf(segment).seconds)} s`;
  button.append(image, label);
  button.addEventListener("click", () => play(number));
  const item = document.createElement("li");
  item.append(button);
  return item;
}

function play(number) {
  const segment = segments[number];
  if (!segment) return;
  const address = new URL(fileOf(segment).path, document.baseURI).href;
  if (videos[1].src === address) videos.reverse();
  const [front, back] = videos;
  if (front.src !== address) front.src = address;
  back.pause();
  front.classList.add("shown");
  back.classList.remove("shown");
  front.currentTime = 0;
  front.play().catch((error) => { clock.textContent = `this browser cannot play it: ${error.message}`; });
  const next = segments[number + 1];
  if (next) back.src = fileOf(next).path;
  list.children[shown]?.firstChild.classList.remove("playing");
  list.children[number].firstChild.classList.add("playing");
  shown = number;
  const form = document.getElementById("export");
  form.original.checked = fileOf(segment) === segment.original;
  form.from.value = localTime(segment.start_s);
  form.to.value = localTime(segment.start_s + fileOf(segment).seconds);
}

for (const video of videos) {
  video.addEventListener("ended", () => { if (video === videos[0]) play(shown + 1); });
  video.addEventListener("error", () => { if (video === videos[0] && video.src) play(shown + 1); });
  video.addEventListener("timeupdate", () => {
    if (video === videos[0] && segments[shown]) {
      clock.textContent = localTime(segments[shown].start_s + video.currentTime).replace("T", " ");
    }
  });
}
if (choice) {
  choice.addEventListener("change", load);
  choice.addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("export").addEventListener("submit", (event) => {
    event.preventDefault(); // the server may be in another time zone
    const form = event.target;
    const [from, to] = [form.from, form.to].map((input) => new Date(input.value).getTime() / 1000);
    location.href = `../../api/export?camera=${camera}&from=${from}&to=${to}${form.original.checked ? "&original=1" : ""}`;
  });
  load();
}
