// The page: which model is asked, the form drawn from its columns, one question at a time or several.

import { brief, faultText, showAnswer } from "./answer.js";
import { widgetOf } from "./fields.js";
import { call } from "./service.js";
import { drawSeveral } from "./several.js";
import { make, number, say, share, speak, tongue, word } from "./words.js";

const at = (id) => document.getElementById(id);
const address = new URL(location.href);
const state = { models: [], card: null, fields: [], last: null, asking: null };

const humane = (name) => name.charAt(0).toUpperCase() + name.slice(1).replaceAll(/[-_]+/g, " ");

async function guarded(work, anew = () => guarded(work)) {
  try {
    at("trouble").hidden = true;
    await work();
  } catch (fault) {
    if (fault.name === "AbortError") return;
    if (fault.status === undefined) throw fault;
    const again = make("button", { type: "button", className: "plain", word: "again", onclick: anew });
    at("trouble").replaceChildren(faultText(fault), " ", again);
    at("trouble").hidden = false;
  }
}

async function start() {
  state.models = (await call("/v1/models")).models;
  if (!state.models.length) { at("trouble").replaceChildren(word("no-models")); at("trouble").hidden = false; return; }
  const names = [...new Set(state.models.map((model) => model.name))];
  at("model").replaceChildren(...names.map((name) => make("option", { value: name }, humane(name))));
  at("picker").hidden = names.length < 2;
  const asked = address.searchParams.get("model");
  at("model").value = names.includes(asked) ? asked : names[0];
  await open(at("model").value);
}

const cardOf = (name) => call(`/v1/models/${encodeURIComponent(name)}?language=${tongue()}`);

async function open(name) {
  const card = await cardOf(name);
  // Another may have been chosen meanwhile.
  if (at("model").value !== name) return;
  settle();
  Object.assign(state, { card, last: null, fields: card.columns.map(widgetOf) });
  document.title = `${humane(card.name)} · lingqu`;
  at("name").textContent = humane(card.name);
  at("about").textContent = card.about ?? "";
  at("fields").replaceChildren(...state.fields.map((field) => field.node));
  at("fields").className = state.fields.length > 4 ? "many" : "";
  drawSeveral(at("several"), at("table"), () => state.card);
  at("table").replaceChildren();
  at("table").hidden = true;
  at("result").replaceChildren(make("p", { className: "empty", word: "empty" }));
  at("origin").textContent = "";
  at("status").textContent = "";
  delete at("status").dataset.word;
  at("desk").hidden = false;
  drawFoot();
}

function drawFoot() {
  const { card } = state;
  const facts = [make("span", {}, card.version ? `${card.name}@${card.version}` : card.name), make("span", {}, card.task)];
  // A number is shown with its interval or not at all.
  const told = Object.entries(card.metrics ?? {}).find(([, found]) => ["value", "low", "high"].every((name) => typeof found?.[name] === "number"));
  if (told) facts.push(make("span", { word: ["on-held-out", () => `${told[0]} ${number(told[1].value)} (${number(told[1].low)} – ${number(told[1].high)})`] }));
  at("foot").replaceChildren(...facts);
}

// The question that waits for its answer is let go, so that none is answered below a later one or under another model's name.
function settle() {
  state.asking?.abort();
  state.asking = null;
  at("answer").classList.remove("busy");
  at("send").disabled = false;
}

async function ask(event) {
  event.preventDefault();
  const { card, fields } = state;
  const wrong = fields.map((field) => { const said = field.check(); field.mark(said); return said ? field : null; }).filter(Boolean);
  if (wrong.length) { wrong[0].control.focus(); return; }
  const row = Object.fromEntries(fields.map((field) => [field.column.name, field.read()]));
  // The fields may hold others by the time that somebody asks why.
  const bitmaps = Object.fromEntries(fields.map((field) => [field.column.name, field.bitmap?.()]));
  settle();
  const own = state.asking = new AbortController();
  at("send").disabled = true;
  const waiting = setTimeout(() => { at("answer").classList.add("busy"); say(at("status"), "asking"); }, 200);
  await guarded(async () => {
    const from = performance.now();
    const found = await call(`/v1/models/${encodeURIComponent(card.name)}/predict?scores=true`, { body: { rows: [row] }, signal: own.signal });
    const given = found.predictions[0];
    state.last = { card, row, given, fields, bitmaps, version: found.version, milliseconds: performance.now() - from };
    showLast();
  }, () => at("one").requestSubmit());
  clearTimeout(waiting);
  if (state.asking === own) settle();
}

function showLast() {
  const { card, given, version, milliseconds } = state.last;
  showAnswer(at("result"), state.last);
  const origin = version ? [make("span", { word: ["version", version] }), " · "] : [];
  at("origin").replaceChildren(...origin, make("span", { word: ["ms", () => number(Math.max(1, Math.round(milliseconds)))] }));
  const sure = typeof given.confidence === "number" ? ["answered", () => brief(card, given), () => share(given.confidence)] : ["answered-plain", () => brief(card, given)];
  say(at("status"), ...sure);
  if (matchMedia("(max-width: 860px)").matches) at("answer").scrollIntoView({ block: "start", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
}

function choose(language) {
  speak(language);
  say(at("language"), "other-language");
  at("language").lang = language === "zh" ? "en" : "zh";
  at("ways").setAttribute("aria-label", word("ways"));
  localStorage.setItem("lingqu-language", language);
}

at("language").addEventListener("click", () => guarded(async () => {
  choose(tongue() === "zh" ? "en" : "zh");
  if (!state.card) return;
  // The service's own words come anew; what was typed and answered stays.
  const card = await cardOf(state.card.name);
  state.card.about = card.about;
  at("about").textContent = card.about ?? "";
  for (const field of state.fields) {
    const about = card.columns.find((column) => column.name === field.column.name)?.about;
    const place = field.node.querySelector(".about");
    if (about && place) place.textContent = about;
  }
}));
at("model").addEventListener("change", () => guarded(async () => {
  await open(at("model").value);
  address.searchParams.set("model", at("model").value);
  history.replaceState(null, "", address);
  at("name").focus();
}));
at("one").addEventListener("submit", ask);
at("example").addEventListener("click", async () => {
  for (const field of state.fields) { field.mark(""); await field.write(state.card.example?.[field.column.name] ?? null); }
  at("one").requestSubmit();
});
at("clear").addEventListener("click", () => { for (const field of state.fields) { field.mark(""); field.write(null); } state.fields[0]?.control.focus(); });
at("ways").addEventListener("change", (event) => {
  const several = event.target.value === "several";
  at("one").hidden = several;
  at("several").hidden = !several;
  at("desk").classList.toggle("wide", several);
  at("answer").hidden = several;
  at("table").hidden = !several || !at("table").childElementCount;
});
document.addEventListener("key", (event) => say(at("key-about"), event.detail ? "key-wrong" : "key-about"));

const kept = address.searchParams.get("language") ?? localStorage.getItem("lingqu-language") ?? navigator.language;
choose(kept.toLowerCase().startsWith("zh") ? "zh" : "en");
guarded(start);
