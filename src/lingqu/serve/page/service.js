// The service as the page sees it: one call, which asks for a key where one is needed.

const KEY = "lingqu-key";
// One name for this visit, so that a canary answers all of it or nothing; it is forgotten with the page.
const VISIT = unique();

export class Fault extends Error {
  constructor(status, told, wait = 0) {
    super(told?.message ?? "");
    Object.assign(this, { status, wait, id: told?.id ?? "", problems: told?.problems ?? [] });
  }
}

export function unique() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (one) => one.toString(16).padStart(2, "0")).join("");
}

export async function call(path, { body, signal, headers = {} } = {}) {
  for (;;) {
    const key = sessionStorage.getItem(KEY);
    const all = { "X-User-Id": VISIT, ...headers };
    if (key) all.Authorization = `Bearer ${key}`;
    if (body) all["Content-Type"] = "application/json";
    let response;
    try {
      response = await fetch(path, { method: body ? "POST" : "GET", body: body && JSON.stringify(body), headers: all, signal, credentials: "omit", cache: "no-store", redirect: "error" });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Fault(0);
    }
    if (response.status === 401 && (await keyGiven(Boolean(key)))) continue;
    const told = await response.json().catch(() => null);
    signal?.throwIfAborted();
    if (response.ok && told) return told;
    throw new Fault(response.status, told?.error, Number(response.headers.get("Retry-After")) || 1);
  }
}

let asking = null;

function keyGiven(refused) {
  asking ??= new Promise((resolve) => {
    const dialog = document.getElementById("key");
    const field = document.getElementById("key-value");
    document.dispatchEvent(new CustomEvent("key", { detail: refused }));
    field.value = "";
    dialog.returnValue = "";
    dialog.showModal();
    dialog.addEventListener("close", () => {
      asking = null;
      const value = field.value.trim();
      field.value = "";
      if (dialog.returnValue === "go" && value) sessionStorage.setItem(KEY, value);
      else sessionStorage.removeItem(KEY);
      resolve(dialog.returnValue === "go" && Boolean(value));
    }, { once: true });
  });
  return asking;
}
