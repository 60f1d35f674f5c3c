// One widget a column, by its kind. Each gives { node, read, write, check, mark }:
// read() is the value for the service, check() a sentence on what is lacking, mark(text) shows one beside the field.

import { make, number, say, word } from "./words.js";

export const MOST_BYTES = 7 << 20;
const CAMERA_SIDE = 1280;
let made = 0;

export const widgetOf = (column) => (WIDGETS[column.kind] ?? plain)(column);

function frame(column, control, hint) {
  const id = `field-${++made}`;
  const trouble = make("small", { id: `${id}-trouble`, className: "bad" });
  const label = make("label", { htmlFor: id }, make("span", { className: "name" }, column.name));
  if (!column.required) label.append(make("small", { word: "optional" }));
  const about = make("small", { id: `${id}-about` });
  // A number's range, a picture's kinds and a list of names say more to a person than the sentence for machines does.
  if (column.about && !["number", "image", "category"].includes(column.kind)) about.append(make("span", { className: "about" }, column.about), " ");
  if (hint) about.append(hint);
  control.id = id;
  control.setAttribute("aria-describedby", `${id}-about ${id}-trouble`);
  if (column.required) control.setAttribute("aria-required", "true");
  const mark = (text) => {
    trouble.textContent = text;
    if (text) control.setAttribute("aria-invalid", "true"); else control.removeAttribute("aria-invalid");
  };
  control.addEventListener("input", () => mark(""));
  return { column, control, mark, node: make("div", { className: `field ${column.kind}` }, label, control, about, trouble) };
}

const lacking = (column, value) => (value === null && column.required ? word("need", column.name) : "");

function plain(column) {
  const field = frame(column, make("input", { type: "text", autocomplete: "off", spellcheck: false }), column.kind === "time" ? make("span", { word: "moment" }) : null);
  field.read = () => field.control.value.trim() || null;
  field.write = (value) => { field.control.value = value ?? ""; };
  field.check = () => lacking(column, field.read());
  return field;
}

function text(column) {
  const area = make("textarea", { rows: 5, spellcheck: false });
  const field = frame(column, area, make("span", { word: "text-hint" }));
  const grow = () => { area.style.height = "auto"; area.style.height = `${Math.min(area.scrollHeight + 2, 420)}px`; };
  area.addEventListener("input", grow);
  area.addEventListener("keydown", (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); area.form.requestSubmit(); } });
  field.read = () => (area.value.trim() ? area.value : null);
  field.write = (value) => { area.value = value ?? ""; grow(); };
  field.check = () => lacking(column, field.read());
  return field;
}

// Full-width digits and a thousands' comma are how people write numbers; anything else, also what is too large for one or has a decimal comma (0,125), stays as it was written.
export function asNumber(written) {
  const read = String(written).normalize("NFKC").trim();
  if (!read) return null;
  const bare = /^[-+]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?$/.test(read) ? read.replaceAll(",", "") : read;
  return /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(bare) && Number.isFinite(Number(bare)) ? Number(bare) : read;
}

function figure(column) {
  const known = column.low !== undefined && column.high !== undefined;
  const ends = [() => number(column.low), () => number(column.high)];
  const hint = known ? make("span", { word: ["range", ...ends] }) : null;
  const field = frame(column, make("input", { type: "text", inputMode: "decimal", autocomplete: "off" }), hint);
  field.read = () => asNumber(field.control.value);
  field.write = (value) => { field.control.value = value ?? ""; field.control.dispatchEvent(new Event("change")); };
  field.check = () => lacking(column, field.read()) || (typeof field.read() === "string" ? word("need-number", column.name) : "");
  field.control.addEventListener("change", () => {
    const value = field.read();
    const out = known && typeof value === "number" && (value < column.low || value > column.high);
    hint?.classList.toggle("outside", out);
    if (known) say(hint, out ? "outside" : "range", ...ends);
  });
  return field;
}

const COMPLETE = 50; // so many values the service tells; with so many there may be more

function choice(column) {
  const values = column.values ?? [];
  if (!values.length || values.length >= COMPLETE) {
    const field = plain(column);
    const list = make("datalist", { id: `${field.control.id}-list` }, ...values.map((value) => make("option", { value })));
    field.control.setAttribute("list", list.id);
    field.node.append(list);
    return field;
  }
  const first = make("option", { value: "", word: column.required ? "choose" : "missing" });
  const field = frame(column, make("select", {}, first, ...values.map((value, place) => make("option", { value: String(place) }, value))));
  field.read = () => (field.control.value === "" ? null : values[Number(field.control.value)]);
  field.write = (value) => { const place = values.indexOf(value); field.control.value = place < 0 ? "" : String(place); };
  field.check = () => lacking(column, field.read());
  return field;
}

// The bytes of a picture as base64 text, and what a browser can draw of it.
export async function readPicture(file) {
  const name = file.name ?? "";
  if (file.size > MOST_BYTES) throw new Error(word("picture-big", name));
  let bitmap;
  try { bitmap = await createImageBitmap(file); } catch { throw new Error(word("picture-bad", name)); }
  const known = ["image/jpeg", "image/png", "image/webp", "image/bmp"].includes(file.type);
  const sent = known ? file : await redrawn(bitmap);
  const bytes = await new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => resolve(reader.result.slice(reader.result.indexOf(",") + 1)));
    reader.addEventListener("error", () => reject(new Error(word("picture-bad", name))));
    reader.readAsDataURL(sent);
  });
  return { name, bitmap, bytes };
}

const redrawn = (bitmap) => new Promise((resolve) => draw(make("canvas"), bitmap, Infinity).toBlob(resolve, "image/png"));

// A picture on a canvas, no side longer than `most`; very small ones are drawn larger, pixel by pixel.
export function draw(canvas, bitmap, most = 640) {
  const side = Math.max(bitmap.width, bitmap.height);
  const scale = most === Infinity ? 1 : side < 96 ? Math.floor(192 / side) : Math.min(1, most / side);
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const pen = canvas.getContext("2d");
  pen.imageSmoothingEnabled = scale < 1;
  pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return canvas;
}

function picture(column) {
  let held = null;
  let stream = null;
  const file = make("input", { type: "file", accept: "image/jpeg,image/png,image/webp,image/bmp,image/*", className: "unseen" });
  const field = frame(column, file, make("span", { word: "picture-kinds" }));
  const drop = make("div", { className: "drop" });
  const view = make("canvas", { role: "img" });
  const video = make("video", { muted: true, playsInline: true, hidden: true });
  const pick = make("label", { className: "button", htmlFor: file.id, word: "picture-file" });
  const camera = make("button", { type: "button", className: "plain", word: "picture-camera" });
  const invite = make("p", {}, make("span", { word: "picture-drop" }), " ", pick, camera);
  const shown = () => {
    view.hidden = !held;
    video.hidden = !stream;
    drop.classList.toggle("full", Boolean(held) || Boolean(stream));
    say(pick, held ? "picture-other" : "picture-file");
    say(camera, stream ? "picture-take" : "picture-camera");
    if (held) view.setAttribute("aria-label", word("picture-of", held.name));
  };
  const release = () => { stream?.getTracks().forEach((track) => track.stop()); stream = null; video.srcObject = null; };
  const take = async (given) => {
    field.mark("");
    release();
    try { held = await readPicture(given); draw(view, held.bitmap); } catch (error) { held = null; field.mark(error.message); }
    shown();
  };
  file.addEventListener("change", () => { if (file.files[0]) take(file.files[0]); file.value = ""; });
  drop.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => { event.preventDefault(); drop.classList.remove("over"); if (event.dataTransfer.files[0]) take(event.dataTransfer.files[0]); });
  document.addEventListener("paste", (event) => { const pasted = field.node.isConnected && event.clipboardData?.files[0]; if (pasted) take(pasted); });
  camera.hidden = !navigator.mediaDevices?.getUserMedia;
  if (camera.hidden) file.setAttribute("capture", "environment");
  camera.addEventListener("click", async () => {
    if (stream) {
      const still = draw(make("canvas"), Object.assign(await createImageBitmap(video)), CAMERA_SIDE);
      return still.toBlob((blob) => take(new File([blob], "camera.jpg", { type: "image/jpeg" })), "image/jpeg", 0.92);
    }
    field.mark("");
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
      held = null;
      video.srcObject = stream;
      await video.play();
    } catch (error) { release(); field.mark(word("camera-no", error.message)); }
    shown();
  });
  drop.append(view, video, invite);
  field.node.insertBefore(drop, file.nextSibling);
  drop.prepend(file);
  field.bitmap = () => held?.bitmap ?? null;
  field.read = () => held?.bytes ?? null;
  field.write = (value) => {
    if (value) return take(new File([Uint8Array.from(atob(value), (one) => one.charCodeAt(0))], "example.png", { type: "image/png" }));
    held = null;
    release();
    shown();
  };
  field.check = () => lacking(column, field.read());
  shown();
  return field;
}

const WIDGETS = { text, number: figure, category: choice, image: picture };
