// Calls to the server. The token is held here and nowhere else: no cookie, no storage.

let token = "";

export const setToken = (value) => { token = value; };
export const hasToken = () => token !== "";

export class CallError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;  // HTTP; 0 where there was no answer
    this.code = code;
  }
}

async function send(path, query, options) {
  const url = new URL(path, location.origin);
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  const headers = token === "" ? {} : { Authorization: `Bearer ${token}` };
  let response;
  try {
    response = await fetch(url, { ...options, headers, cache: "no-store", credentials: "omit", redirect: "error" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new CallError(0, "UNREACHABLE", "the server does not answer");
  }
  if (response.ok) return response;
  const body = await response.json().catch(() => ({}));
  throw new CallError(response.status, body.error?.code ?? "", body.error?.message ?? `HTTP ${response.status}`);
}

export const get = async (path, query = {}) => (await send(path, query, { method: "GET" })).json();
export const post = async (path, query) => (await send(path, query, { method: "POST" })).json();

const SILENCE_MS = 15000;  // the server says that it is alive every 5 s

// Calls `onState` with each message of the stream until it ends. Resolves with "end" where the server ended it,
// "lost" where it broke off; throws a CallError where it was refused, an AbortError once `signal` is set.
export async function stream(query, signal, onState) {
  const silence = new AbortController();
  const response = await send("/api/v1/events", query, {
    method: "GET", signal: AbortSignal.any([signal, silence.signal]) });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  let timer;
  try {
    while (true) {
      timer = setTimeout(() => silence.abort(), SILENCE_MS);
      const { done, value } = await reader.read();
      clearTimeout(timer);
      if (done) return "lost";
      buffer += value;
      const events = buffer.split("\n\n");
      buffer = events.pop();
      for (const event of events) {
        const name = /^event: (.*)$/m.exec(event)?.[1];
        const data = /^data: (.*)$/m.exec(event)?.[1];
        if (name === "state") onState(JSON.parse(data));
        if (name === "end") return "end";
      }
    }
  } catch (error) {
    if (signal.aborted) throw error;
    return "lost";
  } finally {
    clearTimeout(timer);
    reader.cancel().catch(() => {});
  }
}
