// Many rows at once: pasted or uploaded as CSV, or many pictures; asked in parts, shown as a table, saved as CSV.

import { brief, faultText } from "./answer.js";
import { asNumber, readPicture } from "./fields.js";
import { call } from "./service.js";
import { make, number, reason, say, share, word } from "./words.js";

const PART = 64;
const PART_BYTES = 6e6; // of JSON, well below what the service takes; a larger row goes alone
const MOST = 5000;
const MOST_PICTURES = 100;
const SHOWN = 200;
let running = null; // the rows that are asked for now; a form drawn anew, for another model, lets them go

const trimmed = (text) => text.replace(/^[\ufeff\r\n]+/, "");
const firstLine = (text) => /^[^\r\n]*/.exec(trimmed(text))[0];

// CSV by RFC 4180: cells between the commas, semicolons or tabs of its first line, quoted cells with "" for a quote; rows of
// empty cells are left out. A first line of one name has nothing between cells, so that the lines below may hold commas.
// What quotes make unclear is an Error, or one quote too many would swallow the rows that follow.
export function readCsv(given) {
  const text = trimmed(given);
  const first = firstLine(text);
  const count = (mark) => first.split(mark).length - 1;
  const mark = [",", ";", "\t"].reduce((best, one) => (count(one) > count(best) ? one : best));
  const apart = count(mark) > 0;
  const rows = [];
  let row = [], cell = "", quoted = false;
  const unclear = () => new Error(word("rows-quote", cell.slice(0, 40)));
  const ends = (one) => one === undefined || one === "\n" || one === "\r" || (apart && one === mark);
  const endRow = () => { row.push(cell); if (row.some((one) => one !== "")) rows.push(row); row = []; cell = ""; };
  for (let at = 0; at < text.length; at += 1) {
    const here = text[at];
    if (quoted) {
      if (here !== '"') cell += here;
      else if (text[at + 1] === '"') { cell += '"'; at += 1; }
      else if (ends(text[at + 1])) quoted = false; else throw unclear();
    } else if (here === '"' && cell === "") quoted = true;
    else if (apart && here === mark) { row.push(cell); cell = ""; }
    else if (here === "\n") endRow();
    else if (here !== "\r" || text[at + 1] !== "\n") { if (here === "\r") endRow(); else cell += here; }
  }
  if (quoted) throw unclear();
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

const onlyText = (card) => card.columns.length === 1 && card.columns[0].kind === "text";
const low = (cells) => (cells ?? []).map((name) => name.trim().toLowerCase());
const named = (card, text) => { try { return low(readCsv(firstLine(text))[0]).includes(card.columns[0].name.toLowerCase()); } catch { return false; } };

// What was pasted: the names of its columns and the cells below; one text a line, as it stands, where the first does not name the only column.
function parsed(card, text) {
  if (onlyText(card) && !named(card, text)) return { body: trimmed(text).split(/\r\n|\r|\n/).filter((line) => line.trim()).map((line) => [line]) };
  const [head = [], ...body] = readCsv(text);
  return { head, body };
}

// Rows for the service: [{column: value}]; an Error says in the user's words what is lacking.
export function readRows(card, text) {
  const { head = [card.columns[0].name], body } = parsed(card, text);
  if (!body.length) throw new Error(word("rows-none"));
  if (body.length > MOST) throw new Error(word("rows-many", number(MOST), number(body.length)));
  const places = card.columns.map((column) => low(head).indexOf(column.name.toLowerCase()));
  const lacking = card.columns.filter((column, place) => column.required && places[place] < 0).map((column) => column.name);
  if (lacking.length) throw new Error(word("rows-lack", lacking.join(", "), head.join(", ")));
  // A number written 1,200 would else push every cell behind it under the wrong name.
  const wide = body.find((row) => row.slice(head.length).some((cell) => cell.trim()));
  if (wide) throw new Error(word("rows-wide", head.length, wide.join(", ").slice(0, 60)));
  const value = (column, text) => (text === undefined || text.trim() === "" ? null : column.kind === "number" ? asNumber(text) : text);
  return body.map((row) => Object.fromEntries(card.columns.map((column, place) => [column.name, places[place] < 0 ? null : value(column, row[places[place]])])));
}

export function drawSeveral(form, table, getCard) {
  running?.abort();
  running = null;
  const card = getCard();
  const pictures = card.columns.length === 1 && card.columns[0].kind === "image";
  const texts = onlyText(card);
  let files = [];
  const area = make("textarea", { rows: 9, id: "rows", spellcheck: false, wrap: "off" });
  const file = make("input", { type: "file", className: "unseen", id: "rows-file", multiple: pictures, accept: pictures ? "image/*" : ".csv,.tsv,.txt,text/csv,text/plain" });
  const pick = make("label", { className: "button", htmlFor: "rows-file", word: pictures ? "rows-pictures" : "rows-file" });
  const trouble = make("p", { className: "bad", role: "alert" });
  const state = make("span", { className: "soft", role: "status" });
  const go = make("button", { type: "submit", className: "main", word: "rows-ask" });
  const halt = make("button", { type: "button", className: "plain", word: "rows-stop", hidden: true, onclick: () => running?.abort() });
  const about = make("p", { className: "soft", id: "rows-about", word: pictures ? ["rows-pictures-about", MOST_PICTURES] : texts ? "rows-texts" : "rows-about" });
  area.setAttribute("aria-describedby", "rows-about");
  if (!pictures && !texts) area.placeholder = `${card.columns.map((column) => column.name).join(",")}\n…`;
  const taken = async (list) => {
    trouble.textContent = "";
    if (pictures) { files = [...list].slice(0, MOST_PICTURES); say(state, "rows-ready", files.length); return; }
    area.value = decode(await list[0].arrayBuffer());
    try {
      const rows = parsed(card, area.value).body.length;
      say(state, "rows-ready", () => number(rows));
    } catch (error) { trouble.textContent = error.message; }
  };
  file.addEventListener("change", () => { if (file.files.length) taken(file.files); });
  form.ondragover = (event) => event.preventDefault();
  form.ondrop = (event) => { if (event.dataTransfer.files.length) { event.preventDefault(); taken(event.dataTransfer.files); } };
  form.onsubmit = async (event) => {
    event.preventDefault();
    trouble.textContent = "";
    const own = running = new AbortController();
    const answers = [];
    let rows, names;
    go.disabled = true;
    try {
      if (pictures && !files.length) throw new Error(word("rows-none"));
      names = pictures ? files.map((one) => one.name) : null;
      rows = pictures ? await Promise.all(files.map(async (one) => ({ [card.columns[0].name]: (await readPicture(one)).bytes }))) : readRows(card, area.value);
      halt.hidden = false;
      await askAll(card, rows, answers, own.signal, (done) => say(state, "rows-doing", done, rows.length));
    } catch (fault) { if (fault.name !== "AbortError") trouble.textContent = fault.status === undefined ? fault.message : faultText(fault); }
    if (own !== running) return;
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

// So many of the next rows as go well into one request: photographs weigh more than lines of a table.
function partOf(rows, from) {
  let to = from;
  for (let bytes = 0; to < rows.length && to - from < PART; to += 1) {
    bytes += new Blob([JSON.stringify(rows[to])]).size + 1;
    if (to > from && bytes > PART_BYTES) break;
  }
  return rows.slice(from, to);
}

async function askAll(card, rows, answers, signal, step) {
  while (answers.length < rows.length) {
    step(answers.length);
    const part = partOf(rows, answers.length);
    const errors = part.map((row) => lacking(card, row));
    const sent = part.filter((row, place) => !errors[place]);
    try {
      const found = sent.length ? await call(`/v1/models/${encodeURIComponent(card.name)}/predict`, { body: { rows: sent }, signal }) : { predictions: [] };
      answers.push(...errors.map((error) => (error ? { error } : found.predictions.shift())));
    } catch (fault) {
      if (fault.status === 413 && sent.length === 1) { answers.push(...errors.map((error) => ({ error: error || fault.message }))); continue; }
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
