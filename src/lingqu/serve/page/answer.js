// An answer, why it was given, and what the user says of it.

import { asNumber, draw } from "./fields.js";
import { call, unique } from "./service.js";
import { make, number, reason, say, share, word } from "./words.js";

const BARS = 6;
const PARTS = 8;
const PILLS = 8;
const [WORST, BEST] = [1, 5]; // ratings, as the service takes them

const setOf = (prediction) => (Array.isArray(prediction) ? prediction : String(prediction).split("|").filter(Boolean));

// What an answer says in a few words, for the status line and for tables.
export const brief = (card, given) => {
  if (given.error) return word("refused");
  if (typeof given.prediction === "number") return number(given.prediction);
  return card.answer.kind === "label-set" ? setOf(given.prediction).join(", ") || word("none") : String(given.prediction);
};

export function showAnswer(place, { card, row, given, fields, bitmaps, version, milliseconds }) {
  const parts = [];
  if (given.error) parts.push(refusal(given.error, fields));
  else {
    parts.push(...(SHOW[card.answer.kind] ?? anything)(card, given));
    parts.push(whyOf(card, row, bitmaps, version), verdictOf(card, given));
  }
  place.replaceChildren(...parts);
  if (milliseconds !== undefined) place.dataset.milliseconds = milliseconds;
}

function refusal(text, fields) {
  const named = fields.filter((field) => text.includes(`'${field.column.name}'`));
  for (const field of named) field.mark(reason(text));
  return refusedFor(text, "refused", "refused-more");
}

const refusedFor = (text, title, advice) => make("div", { className: "refused", tabIndex: -1 }, make("h3", { word: title }), make("p", { lang: reason(text) === text ? "en" : "" }, reason(text)), make("p", { className: "soft", word: advice }));

const SHOW = { "label-scores": label, "label-set": labels, "number-value": figure };

function label(card, given) {
  const sure = make("p", { className: "sure", word: ["sure", () => share(given.confidence)] });
  return [make("p", { className: "big" }, given.prediction), sure, bars(given.scores ?? { [given.prediction]: given.confidence }, new Set([given.prediction]))];
}

function labels(card, given) {
  const chosen = setOf(given.prediction);
  const chips = chosen.length ? chosen.map((one) => make("li", {}, one)) : [make("li", { className: "soft", word: "none" })];
  return [make("ul", { className: "chips" }, ...chips), make("p", { className: "sure", word: ["sure", () => share(given.confidence)] }), bars(given.scores ?? {}, new Set(chosen))];
}

function figure(card, given) {
  const parts = [make("p", { className: "big" }, make("span", { word: ["plain-number", () => number(given.prediction)] }))];
  if (typeof given.low !== "number" || typeof given.high !== "number") return parts;
  const band = make("i", { className: "band" });
  const dot = make("i", { className: "dot" });
  const width = given.high - given.low || 1;
  band.style.left = "12%";
  band.style.right = "12%";
  dot.style.left = `${12 + 76 * Math.min(1, Math.max(0, (given.prediction - given.low) / width))}%`;
  const ends = make("div", { className: "ends" }, make("span", { word: ["plain-number", () => number(given.low)] }), make("span", { word: ["plain-number", () => number(given.high)] }));
  parts.push(make("p", { className: "sure", word: ["between", () => number(given.low), () => number(given.high)] }), make("div", { className: "range", ariaHidden: "true" }, band, dot), ends);
  return parts;
}

const anything = (card, given) => [make("dl", { className: "cells" }, ...Object.entries(given).filter(([name]) => name !== "id").flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, typeof value === "object" ? JSON.stringify(value) : String(value))]))];

function bars(scores, chosen) {
  const ordered = Object.entries(scores).sort((one, other) => other[1] - one[1]);
  const list = make("ul", { className: "bars" });
  const fill = (all) => {
    list.replaceChildren(...ordered.slice(0, all ? ordered.length : BARS).map(([name, value]) => {
      const bar = make("i");
      bar.style.width = `${100 * value}%`;
      return make("li", { className: chosen.has(name) ? "chosen" : "" }, make("span", { title: name }, name), make("span", { className: "track", ariaHidden: "true" }, bar), make("span", { word: ["plain-number", () => share(value)] }));
    }));
  };
  fill(false);
  const title = make("h3", { className: "unseen", word: "each" });
  if (ordered.length <= BARS + 1) { fill(true); return make("div", {}, title, list); }
  const more = make("button", { type: "button", className: "link", word: ["all", ordered.length] });
  let open = false;
  more.addEventListener("click", () => { open = !open; fill(open); say(more, open ? "fewer" : "all", ordered.length); });
  return make("div", {}, title, list, more);
}

// Why

// The version that answered is asked, not the one that would answer now.
function whyOf(card, row, bitmaps, version) {
  const place = make("div", { className: "why", ariaLive: "polite" });
  const button = make("button", { type: "button", className: "plain", word: "why" });
  button.addEventListener("click", async () => {
    button.disabled = true;
    const waiting = setTimeout(() => place.replaceChildren(make("p", { className: "soft", word: "why-doing" })), 150);
    try {
      const found = await call(`/v1/models/${encodeURIComponent(card.name)}/explain?version=${encodeURIComponent(version)}`, { body: { row } });
      clearTimeout(waiting);
      place.replaceChildren(...because(card, row, found, bitmaps));
      button.hidden = true;
    } catch (fault) {
      clearTimeout(waiting);
      place.replaceChildren(make("p", { className: "bad" }, noReason(fault)));
      button.disabled = false;
    }
  });
  return make("section", { className: "more" }, button, place);
}

function noReason(fault) {
  if (fault.status === 404) return word("why-gone");
  // The service names the label where a model has none to explain; any other fault of a row is told as it is.
  const none = fault.status === 501 || (fault.status === 422 && fault.problems.some((problem) => problem.where === "label"));
  return none ? word("no-explain") : faultText(fault);
}

function because(card, row, found, bitmaps) {
  const parts = found.parts.filter((part) => part.weight);
  const asked = found.label ?? null;
  const title = asked === null ? make("h3", { word: "why-number" }) : make("h3", { word: ["why-title", String(asked).split("|").join(", ")] });
  if (!parts.length) return [title, make("p", { word: "why-none" })];
  const most = Math.max(...parts.map((part) => Math.abs(part.weight)));
  const kinds = Object.fromEntries(card.columns.map((column) => [column.name, column.kind]));
  const shown = [title];
  for (const { name, kind } of card.columns) {
    const own = parts.filter((part) => part.column === name);
    if (kind === "text" && own.length) shown.push(...words(String(row[name]), own, most));
    if (kind === "image" && own.length) shown.push(...patches(bitmaps[name], own, most));
  }
  const rest = parts.filter((part) => !["text", "image"].includes(kinds[part.column]));
  if (rest.length) shown.push(columns(rest, most));
  const plain = asked === null;
  shown.push(make("p", { className: "legend" }, make("span", { className: "for", word: plain ? "raises" : "why-for" }), make("span", { className: "against", word: plain ? "lowers" : "why-against" })));
  shown.push(make("p", { className: "soft", word: "why-how" }));
  return shown;
}

const strength = (part, most) => `${part.weight > 0 ? "for" : "against"} s${Math.max(1, Math.ceil((4 * Math.abs(part.weight)) / most))}`;

// Places count characters; a string of JavaScript counts UTF-16 units, of which an emoji takes two.
function words(text, parts, most) {
  const characters = [...text];
  const line = make("p", { className: "words" });
  let at = 0;
  for (const part of parts.filter((one) => one.place?.length === 2).sort((one, other) => one.place[0] - other.place[0])) {
    const [start, end] = part.place;
    if (start < at) continue;
    line.append(characters.slice(at, start).join(""));
    const faint = Math.abs(part.weight) < most / 12;
    line.append(faint ? characters.slice(start, end).join("") : make("mark", { className: strength(part, most) }, characters.slice(start, end).join("")));
    at = end;
  }
  line.append(characters.slice(at).join(""));
  const told = parts.slice(0, 5).map((part) => `${part.text ?? ""} (${part.weight > 0 ? word("why-for") : word("why-against")})`);
  return [line, make("p", { className: "unseen" }, word("why-words", told.join(", ")))];
}

function patches(bitmap, parts, most) {
  if (!bitmap) return [];
  const canvas = draw(make("canvas", { role: "img", className: "picture" }), bitmap, 480);
  const pen = canvas.getContext("2d");
  // The picture itself steps back, so that what speaks for and against is seen on dark and on bright ones.
  pen.clearRect(0, 0, canvas.width, canvas.height);
  pen.filter = "grayscale(1)";
  pen.globalAlpha = 0.5;
  pen.imageSmoothingEnabled = canvas.width < bitmap.width;
  pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  pen.filter = "none";
  const colours = getComputedStyle(document.documentElement);
  for (const part of parts) {
    const [left, top, right, bottom] = part.place ?? part.box;
    pen.globalAlpha = 0.8 * (Math.abs(part.weight) / most);
    pen.fillStyle = `rgb(${colours.getPropertyValue(part.weight > 0 ? "--own" : "--bad")})`;
    pen.fillRect(left * canvas.width, top * canvas.height, (right - left) * canvas.width, (bottom - top) * canvas.height);
  }
  const [left, top] = parts[0].place ?? parts[0].box;
  canvas.setAttribute("aria-label", word("why-patch", share(left), share(top)));
  return [canvas];
}

function columns(parts, most) {
  const rows = parts.slice(0, PARTS).map((part) => {
    const bar = make("i", { className: part.weight > 0 ? "for" : "against" });
    bar.style.width = `${(50 * Math.abs(part.weight)) / most}%`;
    const value = part.value ?? part.text ?? null;
    const told = value === null ? word("why-missing") : typeof value === "number" ? number(value) : String(value);
    const said = make("span", { className: "unseen" }, `${part.weight > 0 ? word("why-for") : word("why-against")} ${number(part.weight)}`);
    return make("li", {}, make("span", {}, part.column, " ", make("b", {}, told)), make("span", { className: "both", ariaHidden: "true" }, bar), said);
  });
  return make("ul", { className: "reasons" }, ...rows);
}

// This is wrong

function verdictOf(card, given) {
  const place = make("section", { className: "more verdict" });
  const right = make("button", { type: "button", className: "plain", word: "right" });
  const wrong = make("button", { type: "button", className: "plain", word: "wrong", ariaExpanded: "false" });
  const form = make("div", { ariaLive: "polite" });
  const line = make("div", { className: "line" }, make("span", { word: "right-ask" }), right, wrong);
  const key = unique();
  const close = (said) => { place.replaceChildren(said); said.focus(); };
  const thank = (name) => close(make("p", { className: "thanks", tabIndex: -1, word: name }));
  const send = async (body, thanks, trouble) => {
    try {
      const kept = await call("/v1/feedback", { body: { prediction_id: given.id, ...body, source: "page" }, headers: { "Idempotency-Key": key } });
      // A number out of all reach is kept as rejected; a slip of a digit should be told to whoever made it.
      if (kept.status === "rejected") close(refusedFor(kept.reason, "rejected", "rejected-more")); else thank(thanks);
    } catch (fault) {
      if (fault.status === 409) thank("twice"); else trouble.textContent = faultText(fault);
    }
  };
  right.addEventListener("click", () => { form.replaceChildren(make("p", { className: "bad" })); send({ rating: BEST }, "thanks-right", form.firstChild); });
  wrong.addEventListener("click", () => {
    wrong.ariaExpanded = "true";
    const made = correction(card, given, send, () => { form.replaceChildren(); wrong.ariaExpanded = "false"; wrong.focus(); });
    form.replaceChildren(made);
    made.querySelector("input, select, textarea").focus();
  });
  place.append(line, form);
  return place;
}

function correction(card, given, send, close) {
  const { node, read, check = () => true } = (CORRECT[card.answer.kind] ?? (() => ({ node: null, read: () => null })))(card, given);
  const comment = make("textarea", { rows: 2, maxLength: 2000 });
  const trouble = make("p", { className: "bad", role: "alert" });
  const go = make("button", { type: "submit", className: "main", word: "send" });
  const leave = make("button", { type: "button", className: "plain", word: "cancel", onclick: close });
  const form = make("form", { className: "correct", noValidate: true }, node, make("label", {}, make("span", { word: "comment" }), " ", make("small", { word: "optional" }), comment), trouble, make("div", { className: "actions" }, go, leave));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    trouble.textContent = "";
    if (!check()) return;
    const value = read();
    const body = { ...(value === null ? {} : { label: value }), ...(comment.value.trim() ? { comment: comment.value.trim() } : {}) };
    if (!Object.keys(body).length) { trouble.textContent = word("pick"); return; }
    if (value === null) body.rating = WORST;
    go.disabled = true;
    await send(body, "thanks", trouble);
    go.disabled = false;
  });
  form.addEventListener("keydown", (event) => { if (event.key === "Escape") close(); });
  return form;
}

function oneLabel(card, given) {
  const others = (card.answer.labels ?? []).filter((one) => one !== given.prediction);
  if (others.length > PILLS) {
    const select = make("select", {}, make("option", { value: "", word: "choose" }), ...others.map((one, place) => make("option", { value: String(place) }, one)));
    return { node: make("label", {}, make("span", { word: "wrong-title" }), select), read: () => (select.value === "" ? null : others[Number(select.value)]) };
  }
  return pills("radio", others, "wrong-title", new Set(), (chosen) => chosen[0] ?? null);
}

const severalLabels = (card, given) => pills("checkbox", card.answer.labels ?? [], "wrong-set", new Set(setOf(given.prediction)), (chosen) => {
  const right = [...chosen].sort();
  return String(right) === String([...setOf(given.prediction)].sort()) ? null : right;
});

function pills(type, names, title, chosen, told) {
  const inputs = names.map((name) => make("input", { type, name: "right", value: name, checked: chosen.has(name) }));
  const node = make("fieldset", {}, make("legend", { word: title }), make("div", { className: "pills" }, ...inputs.map((input, place) => make("label", {}, input, make("span", {}, names[place])))));
  return { node, read: () => told(inputs.filter((input) => input.checked).map((input) => input.value)) };
}

function oneNumber() {
  const trouble = make("small", { className: "bad", id: "right-trouble" });
  const input = make("input", { type: "text", inputMode: "decimal", autocomplete: "off" });
  input.setAttribute("aria-describedby", trouble.id);
  const mark = (text) => {
    trouble.textContent = text;
    if (text) input.setAttribute("aria-invalid", "true"); else input.removeAttribute("aria-invalid");
  };
  input.addEventListener("input", () => mark(""));
  const check = () => {
    const wrong = typeof asNumber(input.value) === "string";
    mark(wrong ? word("need-number", word("wrong-number")) : "");
    if (wrong) input.focus();
    return !wrong;
  };
  return { node: make("div", {}, make("label", {}, make("span", { word: "wrong-number" }), input), trouble), read: () => asNumber(input.value), check };
}

const CORRECT = { "label-scores": oneLabel, "label-set": severalLabels, "number-value": oneNumber };

// What went wrong, in the user's language; what the service says of a request is shown where it helps.
export function faultText(fault) {
  if (fault.status === 422 || fault.status === 400) return reason(fault.message);
  const known = word(`fault-${fault.status}`, fault.wait);
  const said = known.startsWith("fault-") ? word("fault") : known;
  return fault.status >= 500 && fault.id ? `${said} ${word("fault-id", fault.id)}` : said;
}

export const told = (text) => (tongue() === "zh" && reason(text) === text ? "en" : "");
