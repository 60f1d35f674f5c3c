// Many rows at once: pasted or uploaded as CSV, or many pictures; asked in parts, shown as a table, saved as CSV.

import { brief, faultText } from "./answer.js";
import { asNumber, readPicture } from "./fields.js";
import { call } from "./service.js";
import { make, number, reason, say, share, word } from "./words.js";

const PART = 64;
const MOST = 5000;
const MOST_PICTURES = 100;
const SHOWN = 200;

// CSV by RFC 4180: cells between commas, semicolons or tabs, quoted cells with "" for a quote; rows of empty cells are left out.
export function readCsv(text) {
  const first = text.slice(0, (text.search(/[\r\n]/) + 1 || text.length + 1) - 1);
  const count = (mark) => first.split(mark).length;
  const mark = [",", ";", "\t"].reduce((best, one) => (count(one) > count(best) ? one : best));
  const rows = [];
  let row = [], cell = "", quoted = false;
  const endRow = () => { row.push(cell); if (row.some((one) => one !== "")) rows.push(row); row = []; cell = ""; };
  for (let at = text.charCodeAt(0) === 0xfeff ? 1 : 0; at < text.length; at += 1) {
    const here = text[at];
    if (quoted) {
      if (here !== '"') cell += here;
      else if (text[at + 1] === '"') { cell += '"'; at += 1; } else quoted = false;
    } else if (here === '"' && cell === "") quoted = true;
    else if (here === mark) { row.push(cell); cell = ""; }
    else if (here === "\n") endRow();
    else if (here !== "\r" || text[at + 1] !== "\n") { if (here === "\r") endRow(); else cell += here; }
  }
  endRow();
  return rows;
}

// A cell that a spreadsheet would take for a formula gets an apostrophe; a number stays a number (OWASP, CSV injection).
export function writeCsv(rows) {
  const cell = (value) => {
    if (typeof value === "number") return String(value);
    const text = String(value ?? "");
    const safe = /^[=+\-@\t\r]/.test(text) && !/^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(text) ? `'${text}` : text;
    return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  return `\ufeff${rows.map((row) => row.map(cell).join(",")).join("\r\n")}\r\n`;
}

// Bytes as text: UTF-8 or UTF-16 by its mark, UTF-8 where it fits, else GB 18030, which Chinese spreadsheets write.
export function decode(bytes) {
  const marks = { "255,254": "utf-16le", "254,255": "utf-16be" };
  const marked = marks[String([...new Uint8Array(bytes).slice(0, 2)])];
  if (marked) return new TextDecoder(marked).decode(bytes);
  try { return new TextDecoder("utf-8", { fatal: true }).decode(bytes); } catch { return new TextDecoder("gb18030").decode(bytes); }
}

// Cells as rows for the service: [{column: value}]; an Error says in the user's words what is lacking.
export function toRows(card, cells) {
  const names = card.columns.map((column) => column.name);
  const low = (cells[0] ?? []).map((name) => name.trim().toLowerCase());
  const places = names.map((name) => low.indexOf(name.toLowerCase()));
  const only = card.columns.length === 1 && card.columns[0].kind === "text" && places[0] < 0;
  const body = only ? cells : cells.slice(1);
  if (!body.length) throw new Error(word("rows-none"));
  if (body.length > MOST) throw new Error(word("rows-many", number(MOST), number(body.length)));
  if (only) return body.map((row) => ({ [names[0]]: row.join(",") }));
  const lacking = card.columns.filter((column, place) => column.required && places[place] < 0).map((column) => column.name);
  if (lacking.length) throw new Error(word("rows-lack", lacking.join(", "), cells[0].join(", ")));
  const value = (column, text) => (text === undefined || text.trim() === "" ? null : column.kind === "number" ? asNumber(text) : text);
  return body.map((row) => Object.fromEntries(card.columns.map((column, place) => [column.name, places[place] < 0 ? null : value(column, row[places[place]])])));
}

export function drawSeveral(form, table, getCard) {
  const card = getCard();
  const pictures = card.columns.length === 1 && card.columns[0].kind === "image";
  const texts = card.columns.length === 1 && card.columns[0].kind === "text";
  let files = [];
  let stop = null;
  const area = make("textarea", { rows: 9, id: "rows", spellcheck: false, wrap: "off" });
  const file = make("input", { type: "file", className: "unseen", id: "rows-file", multiple: pictures, accept: pictures ? "image/*" : ".csv,.tsv,.txt,text/csv,text/plain" });
  const pick = make("label", { className: "button", htmlFor: "rows-file", word: pictures ? "rows-pictures" : "rows-file" });
  const trouble = make("p", { className: "bad", role: "alert" });
  const state = make("span", { className: "soft", role: "status" });
  const go = make("button", { type: "submit", className: "main", word: "rows-ask" });
  const halt = make("button", { type: "button", className: "plain", word: "rows-stop", hidden: true, onclick: () => stop?.abort() });
  const about = make("p", { className: "soft", id: "rows-about", word: pictures ? ["rows-pictures-about", MOST_PICTURES] : texts ? "rows-texts" : "rows-about" });
  area.setAttribute("aria-describedby", "rows-about");
  if (!pictures && !texts) area.placeholder = `${card.columns.map((column) => column.name).join(",")}\n…`;
  const taken = async (list) => {
    trouble.textContent = "";
    if (pictures) { files = [...list].slice(0, MOST_PICTURES); say(state, "rows-ready", files.length); return; }
    area.value = decode(await list[0].arrayBuffer());
    const rows = readCsv(area.value).length;
    say(state, "rows-ready", () => number(Math.max(0, rows - 1)));
  };
  file.addEventListener("change", () => { if (file.files.length) taken(file.files); });
  form.ondragover = (event) => event.preventDefault();
  form.ondrop = (event) => { if (event.dataTransfer.files.length) { event.preventDefault(); taken(event.dataTransfer.files); } };
  form.onsubmit = async (event) => {
    event.preventDefault();
    trouble.textContent = "";
    let rows, names;
    try {
      if (pictures && !files.length) throw new Error(word("rows-none"));
      names = pictures ? files.map((one) => one.name) : null;
      rows = pictures ? await Promise.all(files.map(async (one) => ({ [card.columns[0].name]: (await readPicture(one)).bytes }))) : toRows(card, readCsv(area.value));
    } catch (error) { trouble.textContent = error.message; return; }
    stop = new AbortController();
    go.disabled = true;
    halt.hidden = false;
    const answers = [];
    try { await askAll(card, rows, answers, stop.signal, (done) => say(state, "rows-doing", done, rows.length)); }
    catch (fault) { if (fault.name !== "AbortError") trouble.textContent = faultText(fault); }
    go.disabled = false;
    halt.hidden = true;
    if (!answers.length) return;
    const refused = answers.filter((one) => one.error).length;
    say(state, "rows-done", answers.length - refused, refused);
    showTable(table, card, rows, answers, names);
  };
  form.replaceChildren(...[pictures ? null : make("label", { htmlFor: "rows", className: "unseen", word: "rows" }), about, pictures ? null : area, trouble, make("div", { className: "actions" }, go, halt, file, pick, state)].filter(Boolean));
}

// What no request may hold, told in the service's own words, so that one such row does not cost the others their answer.
function lacking(card, row) {
  for (const { name, kind, required } of card.columns) {
    const noun = kind === "number" ? "a number" : kind === "text" ? "a text" : "a name";
    if (row[name] === null && required) return `Expected ${noun} in '${name}', found nothing.`;
    if (kind === "number" && typeof row[name] === "string") return `Expected a number in '${name}', found '${row[name]}'.`;
  }
  return "";
}

async function askAll(card, rows, answers, signal, step) {
  while (answers.length < rows.length) {
    step(answers.length);
    const part = rows.slice(answers.length, answers.length + PART);
    const errors = part.map((row) => lacking(card, row));
    const sent = part.filter((row, place) => !errors[place]);
    try {
      const found = sent.length ? await call(`/v1/models/${encodeURIComponent(card.name)}/predict`, { body: { rows: sent }, signal }) : { predictions: [] };
      answers.push(...errors.map((error) => (error ? { error } : found.predictions.shift())));
    } catch (fault) {
      if (fault.status !== 429 || fault.wait > 30) throw fault;
      await new Promise((resolve) => { setTimeout(resolve, 1000 * fault.wait); });
    }
  }
}

function showTable(place, card, rows, answers, names) {
  const figures = card.answer.kind === "number-value";
  const inputs = names ? null : card.columns.map((column) => column.name);
  const heads = [make("th", { scope: "col", word: "row" }), ...(names ? [make("th", { scope: "col", word: "file" })] : inputs.map((name) => make("th", { scope: "col" }, name))), make("th", { scope: "col", word: "answer" })];
  heads.push(...(figures ? ["low", "high"] : ["confidence"]).map((name) => make("th", { scope: "col", word: name })));
  const body = answers.slice(0, SHOWN).map((given, at) => {
    const cells = names ? [names[at]] : inputs.map((name) => rows[at][name]);
    const row = make("tr", {}, make("td", {}, String(at + 1)), ...cells.map((cell) => make("td", { className: typeof cell === "number" ? "right" : "cut", title: String(cell ?? "") }, typeof cell === "number" ? number(cell) : String(cell ?? ""))));
    if (given.error) row.append(make("td", { colSpan: figures ? 3 : 2, className: "bad" }, reason(given.error)));
    else row.append(make("td", { className: "strong" }, brief(card, given)), ...(figures ? [given.low, given.high].map((one) => make("td", { className: "right" }, number(one))) : [make("td", { className: "right" }, share(given.confidence))]));
    return row;
  });
  const save = make("button", { type: "button", className: "plain", word: "save", onclick: () => {
    const head = ["row", ...(inputs ?? ["file"]), "prediction", ...(figures ? ["low", "high"] : ["confidence"]), "error"];
    const lines = answers.map((given, at) => [at + 1, ...(inputs ? inputs.map((name) => rows[at][name]) : [names[at]]), given.error ? "" : Array.isArray(given.prediction) ? given.prediction.join("|") : given.prediction, ...(figures ? [given.low, given.high] : [given.confidence]), given.error]);
    const address = URL.createObjectURL(new Blob([writeCsv([head, ...lines])], { type: "text/csv" }));
    make("a", { href: address, download: `${card.name}-answers.csv` }).click();
    setTimeout(() => URL.revokeObjectURL(address), 1000);
  } });
  const note = answers.length > SHOWN ? make("p", { className: "soft", word: ["rows-first", SHOWN] }) : null;
  const title = make("h2", { id: "table-title", tabIndex: -1, word: "rows-title" });
  place.replaceChildren(make("div", { className: "top" }, title, save), make("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: word("rows-title") }, make("table", {}, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...body))), ...(note ? [note] : []));
  place.hidden = false;
  title.focus();
}
